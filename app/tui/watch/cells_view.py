"""The cells of a context window as one strip of letters, and opened as a list with the text of each span. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.generation import CellSpan
from app.protocol.events import ModelReady
from app.tui.meter import RunMeter
from app.tui.panels import numbers
from app.tui.panels.line import Forms, Line, share, spread, visible, width_of
from app.tui.watch.setting import Setting

_KINDS = {
    "system": ("S", "system"),
    "earlier": ("E", "history"),
    "prompt": ("P", "turn"),
    "reply": ("R", "reply"),
    "free": ("·", "free"),
}
_SOURCES = {
    "reused": "was in the cache before",
    "restored": "restored from disk",
    "shared": "shared with another branch",
}
_WIDE = 110
_MOST_OF_A_TEXT = 4_000
"""Characters of a span's text that are looked at: no screen shows more."""


def strip(cells: Sequence[CellSpan], setting: Setting, width: int) -> Line:
    """Returns one line: a letter a kind, lower case where nothing was computed, `!` at what is dropped next."""
    spans: list[tuple[str, str]] = []
    dropped = _dropped(cells, setting)
    for index, (cell, n) in enumerate(zip(cells, share([cell.n_tokens for cell in cells], width), strict=True)):
        letter, role = _KINDS[cell.kind]
        text = (letter if cell.source in ("computed", "") else letter.lower()) * n
        if index == dropped:
            text = "!" + text[1:]
        spans.append((text, role if cell.kind == "free" else f"{role}-block"))
    return tuple(spans)


def cells_forms(meter: RunMeter, model: ModelReady | None, setting: Setting, width: int) -> Forms:
    """Returns the panel of the column in its forms, the fullest first."""
    cells = _cells(meter, model)
    title = _title(cells, width)
    line = strip(cells, setting, width) if cells else (("·" * width, "free"),)
    letters = _letters() if width_of(_letters()) <= width + 1 else _letters()[:-2]
    return (title, line, letters, ((_marks(cells, setting, short=True), "dim"),)), (title, line), (title,)


def cells_page(meter: RunMeter, model: ModelReady | None, setting: Setting, width: int, height: int) -> list[Line]:
    """Returns the strip, its legend and the list of spans with their texts in at most `height` lines."""
    cells = _cells(meter, model)
    if not cells:
        nothing: Line = (("Nothing lies in the cache yet.", "dim"),)
        return [_title(cells, width), (("·" * width, "free"),), (), nothing][:height]
    lines: list[Line] = [
        _title(cells, width),
        strip(cells, setting, width),
        (*_letters(), ("· free   ", "dim"), (_marks(cells, setting, short=width < _WIDE), "dim")),
        (),
        ((f"{'':3}{'cells':<14}{'tokens':>7}  {'what':<9}{'from':<28}{'computed in':>12}", "dim"),),
    ]
    used = [cell for cell in cells if cell.kind != "free"]
    texts = _texts(meter, used)
    room = max(0, height - len(lines) - len(used))
    n_each = min(6, room // len(used)) if used else 0
    at, dropped = 0, _dropped(cells, setting)
    for index, (cell, text) in enumerate(zip(used, texts, strict=True)):
        lines.append(_row(cell, at, drop=index == dropped))
        at += cell.n_tokens
        lines += [((f"   {line}", "dim"),) for line in _folded(text, width - 3, n_each)]
    return lines[:height]


def _cells(meter: RunMeter, model: ModelReady | None) -> tuple[CellSpan, ...]:
    return meter.cells(model.n_ctx) if model is not None else ()


def _title(cells: Sequence[CellSpan], width: int) -> Line:
    n_ctx = sum(cell.n_tokens for cell in cells)
    used = n_ctx - sum(cell.n_tokens for cell in cells if cell.kind == "free")
    value = f"{numbers.count(used)} of {numbers.count(n_ctx)} · {numbers.percent(used / n_ctx)}" if n_ctx else "–"
    return spread((("KV-CACHE", "title"),), ((value, "value"),), width)


def _letters() -> Line:
    line: Line = ()
    for kind, (letter, role) in _KINDS.items():
        if kind != "free":
            line = (*line, (letter, role), (f" {kind} ", "dim"))
    return line


def _marks(cells: Sequence[CellSpan], setting: Setting, *, short: bool) -> str:
    sources = list(dict.fromkeys(cell.source for cell in cells if cell.source in _SOURCES))
    words = ", ".join(source if short else _SOURCES[source] for source in sources)
    from_where = f"small: {words}" if words else "all computed"
    if setting.policy == "stop":
        return f"{from_where} · full: it ends"
    return from_where if _dropped(cells, setting) is None else f"{from_where} · ! dropped next"


def _dropped(cells: Sequence[CellSpan], setting: Setting) -> int | None:
    if setting.policy == "stop":
        return None
    kinds = ("earlier", "prompt") if setting.policy == "shift" else ("earlier",)
    found = (index for kind in kinds for index, cell in enumerate(cells) if cell.kind == kind)
    return next(found, None)


def _row(cell: CellSpan, at: int, *, drop: bool) -> Line:
    letter, role = _KINDS[cell.kind]
    letter = letter if cell.source == "computed" else letter.lower()
    source = "computed now" if cell.source == "computed" else _SOURCES.get(cell.source, cell.source)
    place = f"{at}–{at + cell.n_tokens - 1}"
    return (
        (f"{letter}{'!' if drop else ' '} ", role),
        (f"{place:<14}", "text"),
        (f"{numbers.count(cell.n_tokens):>7}  ", "value"),
        (f"{cell.kind:<9}{source:<28}", "text"),
        (f"{numbers.ms(cell.ms or None):>12}", "value"),
    )


def _texts(meter: RunMeter, cells: Sequence[CellSpan]) -> list[str]:
    """The text of each span; empty where the prompt was not told, or a shift has moved it."""
    if meter.n_shifted:
        return [""] * len(cells)
    texts: list[str] = []
    at, n_prompt = 0, meter.n_prompt
    for cell in cells:
        end = at + cell.n_tokens
        told = (*meter.prompt[at:end], *meter.tokens[max(0, at - n_prompt) : max(0, end - n_prompt)])
        texts.append("".join(token.text for token in told)[:_MOST_OF_A_TEXT])
        at = end
    return texts


def _folded(text: str, width: int, n_lines: int) -> list[str]:
    if not text:
        return []
    lines: list[str] = []
    rest = text
    for number in range(n_lines):
        if not rest:
            break
        last = number == n_lines - 1
        lines.append(visible(rest, width) if last else visible(rest[:width], width))
        rest = rest[width:]
    return lines
