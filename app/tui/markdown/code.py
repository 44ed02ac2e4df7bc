"""Code to lines: Pygments colours on the theme's code background. Long lines are chopped, so that copies are exact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.style import Style

from app.domain.text import safe_text
from app.tui.markdown.lines import LineBuilder, Span
from app.tui.markdown.places import TAB, placed, rows_of
from app.tui.markdown.styles import MarkdownStyles

if TYPE_CHECKING:
    from pygments.lexer import Lexer
    from rich.syntax import TokenType

MAX_LINE = 2000
"""Code with a longer line is not highlighted: some lexers take quadratic time on it."""


def add_code(
    out: LineBuilder,
    code: str,
    info: str,
    styles: MarkdownStyles,
    *,
    label: bool = True,
    places: Sequence[int] = (),
    info_places: Sequence[int] = (),
) -> None:
    """Adds the lines of a code block, under its `info` if `label`; with places those of the characters of both.

    The first word of `info` is the language.
    """
    language = info.split(maxsplit=1)[0] if info.strip() else ""
    rows = rows_of(code, places)
    pad = (" ", styles.code_block)
    with out.indent(pad, pad):
        if label and language:
            shown: list[Span] = [(safe_text(info).replace("\t", " "), styles.code_label)]
            named = placed(shown, info_places) if info_places else shown
            out.flow(named, fill=styles.code_block, aside=True)
        for n, spans in enumerate(_coloured_lines(safe_text(code).expandtabs(TAB), language, styles)):
            whole = _unbroken(spans, styles.code_block)
            line = placed(whole, rows[n]) if n < len(rows) else whole
            out.flow(line, words=False, fill=styles.code_block, skip_all=True)


def _coloured_lines(code: str, language: str, styles: MarkdownStyles) -> Iterator[list[Span]]:
    lines = code.split("\n")
    lexer = _lexer(language.lower())
    if lexer is None or max(map(len, lines)) > MAX_LINE:
        for line in lines:
            yield [(line, styles.code_block)]
        return
    spans: list[Span] = []
    n_left = len(lines)
    for kind, text in lexer.get_tokens(code):
        style = _style(styles.code_theme, kind, styles.code_block)
        first, *rest = text.split("\n")
        if first:
            spans.append((first, style))
        for part in rest:
            if n_left:
                yield spans
                n_left -= 1
            spans = [(part, style)] if part else []
    if n_left:
        yield spans


def _unbroken(spans: list[Span], style: Style) -> list[Span]:
    """The spans, or one where they would cut what is drawn as one character, as an emoji of several."""
    text = "".join(span[0] for span in spans)
    if text.isascii() or sum(cell_len(span[0]) for span in spans) == cell_len(text):
        return spans
    return [(text, style)]


def prepare() -> None:
    """Imports Pygments, which costs more than the first block of code may."""
    _lexer("python")


@lru_cache(64)
def _lexer(language: str) -> Lexer | None:
    if not language:
        return None
    from pygments.lexers import get_lexer_by_name  # pyright: ignore[reportUnknownVariableType]  (untyped options)
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(language, stripnl=False, stripall=False, ensurenl=True)
    except ClassNotFound:
        return None


@lru_cache(4096)
def _style(theme: str, kind: TokenType, base: Style) -> Style:
    from rich.syntax import Syntax

    style = Syntax.get_theme(theme).get_style_for_token(kind)
    return base + Style(color=style.color, bold=style.bold, italic=style.italic, underline=style.underline)
