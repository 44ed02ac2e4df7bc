"""One block to lines of a width. Any text gives lines, never an exception; what it shows has passed safe_text.

HTML is shown as it was written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.style import Style

from app.domain.text import safe_text
from app.tui.markdown.blocks import Block, BlockKind
from app.tui.markdown.code import add_code
from app.tui.markdown.dialect import parser
from app.tui.markdown.fence import is_plain_paragraph
from app.tui.markdown.inline import inline_lines
from app.tui.markdown.lines import Line, LineBuilder, Span
from app.tui.markdown.places import TAB, placed, placed_run, rows_of
from app.tui.markdown.placing import placed_tokens
from app.tui.markdown.styles import MarkdownStyles
from app.tui.markdown.table import add_table

if TYPE_CHECKING:
    from markdown_it.token import Token

MAX_MARKED = 16_000
"""Characters of one block beyond which it is shown as plain text: inline parsing is not linear."""

_PARSER = parser()
_BULLETS = "•◦▪"


def render(
    block: Block,
    width: int,
    styles: MarkdownStyles,
    gutter: tuple[Span, Span],
    *,
    with_places: bool = False,
) -> list[Line]:
    """Returns the lines of `block`, `width` cells each; `gutter`: what stands before the first and the others.

    With places every cell can be asked where it stands in `block.text`: see `app.tui.markdown.places`.
    """
    out = LineBuilder(width, styles.base, gutter)
    places = range(len(block.text)) if with_places else ()
    match block.kind:
        case BlockKind.CODE:
            add_code(out, block.text, block.info, styles, label=block.gap, places=places)
        case BlockKind.NOTE:
            with out.indent(("○ ", styles.note), ("  ", styles.note)):
                _add_plain(out, block.text, styles.note)
        case BlockKind.FAILURE:
            with out.indent(("✗ ", styles.failure), ("  ", styles.failure)):
                _add_plain(out, block.text, styles.failure)
        case BlockKind.PLAIN:
            _add_plain(out, block.text, styles.base, places)
        case BlockKind.THINKING:
            with out.indent(("│ ", styles.muted), ("│ ", styles.muted)):
                _add_plain(out, block.text, styles.muted, places)
        case BlockKind.FOLD:
            out.flow([(_fold(block, out.room), styles.note)], aside=True)
        case BlockKind.MARKDOWN if not with_places and is_plain_paragraph(block.text):
            for line in safe_text(block.text).split("\n"):
                out.flow([(line.rstrip(" "), styles.base)])
        case BlockKind.MARKDOWN if len(block.text) > MAX_MARKED and not is_plain_paragraph(block.text):
            _add_plain(out, block.text, styles.base, places)
        case BlockKind.MARKDOWN:
            tokens = placed_tokens(block.text) if with_places else _PARSER.parse(block.text)
            _Walk(out, styles, block).blocks(tokens)
    return out.lines


def _fold(block: Block, room: int) -> str:
    """The line above thinking, in one row."""
    left = room - cell_len(block.text) - len(" · …")
    if not block.info or left < 1:
        return block.text
    if cell_len(block.info) <= left + 1:
        return f"{block.text} · {block.info}"
    at = len(block.info) - left
    while cell_len(block.info[at:]) > left:
        at += 1
    return f"{block.text} · …{block.info[at:]}"


def _add_plain(out: LineBuilder, text: str, style: Style, places: Sequence[int] = ()) -> None:
    rows = rows_of(text, places)
    for n, line in enumerate(safe_text(text).expandtabs(TAB).split("\n")):
        spans = [(line, style)]
        out.flow(placed(spans, rows[n]) if n < len(rows) else spans)


class _Walk:
    """Goes down a block's tokens once."""

    def __init__(self, out: LineBuilder, styles: MarkdownStyles, block: Block) -> None:
        self._out = out
        self._styles = styles
        self._lines = block.text.split("\n")
        self._depth = 0

    def blocks(self, tokens: Sequence[Token], style: Style | None = None) -> None:
        """Adds sibling blocks, a blank line between them."""
        at = 0
        is_first = True
        while at < len(tokens):
            stop = _end(tokens, at)
            if not is_first and (self._depth == 0 or self._is_parted(tokens[at])):
                self._out.blank()
            self._block(tokens[at:stop], style or self._styles.base)
            is_first = False
            at = stop

    def _block(self, tokens: Sequence[Token], style: Style) -> None:
        out, styles, token = self._out, self._styles, tokens[0]
        match token.type:
            case "paragraph_open":
                self._inline(tokens[1], style)
            case "heading_open":
                minor = int(token.tag[1]) > 2
                if tokens[1].content:
                    self._inline(tokens[1], styles.heading_minor if minor else styles.heading)
                else:
                    out.flow(placed([(token.markup, styles.muted)], token.meta.get("places", ())))
            case "fence" | "code_block":
                code = token.content.removesuffix("\n")
                places, info_places = (token.meta.get(name, ()) for name in ("places", "info"))
                add_code(out, code, token.info.strip(), styles, places=places, info_places=info_places)
            case "hr":
                out.flow([("─" * out.room, placed_run(styles.muted, token.meta.get("places", range(0))))])
            case "html_block":
                _add_plain(out, token.content.rstrip("\n"), styles.muted, token.meta.get("places", ()))
            case "blockquote_open":
                bar = ("▎ ", styles.quote)
                with out.indent(bar, bar):
                    self.blocks(tokens[1:-1], styles.quote)
            case "bullet_list_open" | "ordered_list_open":
                self._list(tokens)
            case "table_open":
                add_table(out, tokens, styles)
            case _:
                _add_plain(out, token.content, style, token.meta.get("places", ()))

    def _inline(self, token: Token, style: Style) -> None:
        for line in inline_lines(token.children or [], self._styles, style):
            self._out.flow(line)

    def _list(self, tokens: Sequence[Token]) -> None:
        out, styles = self._out, self._styles
        at = 1
        while at < len(tokens) - 1:
            stop = _end(tokens, at)
            item = tokens[at]
            mark = item.info + item.markup if item.info else _BULLETS[min(self._depth, 2)]
            if at > 1 and self._is_parted(item):
                out.blank()
            marker = placed_run(styles.marker, item.meta.get("places", range(0)))
            with out.indent((f"{mark} ", marker), (" " * (len(mark) + 1), styles.base)):
                self._depth += 1
                if stop - at == 2:
                    out.blank()
                self.blocks(tokens[at + 1 : stop - 1])
                self._depth -= 1
            at = stop

    def _is_parted(self, token: Token) -> bool:
        """In a list the source decides: its author parted this from what stands before it, or did not."""
        line = token.map[0] if token.map else 0
        return line > 0 and not self._lines[line - 1].strip("> \t")


def _end(tokens: Sequence[Token], at: int) -> int:
    """Returns the index after the block that begins at `at`."""
    depth = 0
    for k in range(at, len(tokens)):
        depth += tokens[k].nesting
        if depth == 0:
            return k + 1
    return len(tokens)
