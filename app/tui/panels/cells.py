"""The cells of a context window as one strip of letters, and opened as a list with the text of each span. Pure.

Times are the clock's of the place where it is read, so that they stay true however long they stand on the screen.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from app.analysis.ending import ReplyContext
from app.analysis.meter import RunMeter
from app.domain import units
from app.domain.generation import CellSpan
from app.protocol.events import ModelReady
from app.tui.panels.panel import Panel, PanelPage
from app.tui.widgets.line import Forms, Line, share, spread, visible, width_of

_KINDS = {
    "system": ("S", "system"),
    "earlier": ("E", "history"),
    "prompt": ("P", "turn"),
    "reply": ("R", "reply"),
    "free": ("·", "free"),
}
_SOURCES = {
    "computed": ("computed", "computed for this reply"),
    "reused": ("reused", "was in the cache before"),
    "restored": ("from disk", "restored from disk"),
    "copied": ("copied", "copied from another slot"),
    "shared": ("from a reply", "computed by another reply"),
}
_SHARED = "&"
_WIDE = 110
_MOST_OF_A_TEXT = 4_000
"""Characters of a span's text that are looked at: no screen shows more."""


def strip(cells: Sequence[CellSpan], setting: ReplyContext, width: int) -> Line:
    """Returns one line: a letter a kind, lower case where nothing was computed, `&` at the end of what other replies
    hold too, `!` at the beginning of what is dropped next."""
    spans: list[tuple[str, str]] = []
    dropped = _dropped(cells, setting)
    for index, (cell, n) in enumerate(zip(cells, share([cell.n_tokens for cell in cells], width), strict=True)):
        letter, role = _KINDS[cell.kind]
        role = role if cell.kind == "free" else f"{role}-block"
        text = (letter if cell.source in ("computed", "") else letter.lower()) * n
        if cell.n_sharers:
            role = "shared-block"
            text = text[: n - 1] + _SHARED * min(n, 1)
        if index == dropped:
            text = "!" + text[1:]
        spans.append((text, role))
    return tuple(spans)


def cells_forms(meter: RunMeter, model: ModelReady | None, setting: ReplyContext, width: int) -> Forms:
    """Returns the panel of the column in its forms, the fullest first."""
    cells = _cells(meter, model)
    title = _title(cells, width)
    line = strip(cells, setting, width) if cells else (("·" * width, "free"),)
    letters = _letters() if width_of(_letters()) <= width + 1 else _letters()[:-2]
    return (title, line, letters, _marks(cells, setting, width)), (title, line), (title,)


def cells_page(meter: RunMeter, model: ModelReady | None, setting: ReplyContext, width: int, height: int) -> list[Line]:
    """Returns the strip, its legend and the list of spans with their texts in at most `height` lines."""
    cells = _cells(meter, model)
    if not cells:
        nothing: Line = (("The cache is empty.", "dim"),)
        return [_title(cells, width), (("·" * width, "free"),), (), nothing][:height]
    lines: list[Line] = [
        _title(cells, width),
        strip(cells, setting, width),
        (*_letters(), ("· free", "dim")),
        _marks(cells, setting, width),
        (),
        _head(cells, wide=width >= _WIDE),
    ]
    used = [cell for cell in cells if cell.kind != "free"]
    texts = _texts(meter, used)
    room = max(0, height - len(lines) - len(used))
    n_each = min(6, room // len(used)) if used else 0
    at, dropped, newest = 0, _dropped(cells, setting), _newest(cells)
    for index, (cell, text) in enumerate(zip(used, texts, strict=True)):
        lines.append(_row(cell, at, newest, drop=index == dropped, wide=width >= _WIDE, running=meter.running))
        at += cell.n_tokens
        lines += [((f"   {line}", "dim"),) for line in _folded(text, width - 3, n_each)]
    return lines[:height]


def _cells(meter: RunMeter, model: ModelReady | None) -> tuple[CellSpan, ...]:
    return meter.cells(model.n_ctx) if model is not None else ()


def _title(cells: Sequence[CellSpan], width: int) -> Line:
    n_ctx = sum(cell.n_tokens for cell in cells)
    used = n_ctx - sum(cell.n_tokens for cell in cells if cell.kind == "free")
    value = f"{units.count(used)} of {units.count(n_ctx)} · {units.percent(used / n_ctx)}" if n_ctx else "–"
    return spread((("KV-CACHE", "title"),), ((value, "value"),), width)


def _letters() -> Line:
    line: Line = ()
    for kind, (letter, role) in _KINDS.items():
        if kind != "free":
            line = (*line, (letter, role), (f" {kind} ", "dim"))
    return line


def _marks(cells: Sequence[CellSpan], setting: ReplyContext, width: int) -> Line:
    """What small letters and marks mean, of those that are seen; in fewer words where they do not fit."""
    sources = list(dict.fromkeys(cell.source for cell in cells if cell.source not in ("computed", "")))
    dropped = _dropped(cells, setting) is not None
    line: Line = ()
    for long, drop in ((True, "! dropped next"), (False, "! dropped next"), (False, "! dropped")):
        words = ", ".join(_SOURCES[source][long] for source in sources)
        end = "full: it ends" if setting.policy == "stop" else drop if dropped else ""
        line = ((" · ".join(filter(None, (end, f"small: {words}" if words else "all computed"))), "dim"),)
        if any(cell.n_sharers for cell in cells):
            line = ((_SHARED, "shared"), (" shared with replies · " if long else " shared · ", "dim"), *line)
        if width_of(line) <= width:
            break
    return line


def _dropped(cells: Sequence[CellSpan], setting: ReplyContext) -> int | None:
    if setting.policy == "stop":
        return None
    kinds = ("earlier", "prompt") if setting.policy == "shift" else ("earlier",)
    found = (index for kind in kinds for index, cell in enumerate(cells) if cell.kind == kind)
    return next(found, None)


def _head(cells: Sequence[CellSpan], *, wide: bool) -> Line:
    """The names of the columns; that of the times with the day that they are of."""
    newest = _newest(cells)
    day = time.strftime(" %d %b %Y" if wide else " %d %b", time.localtime(newest)) if newest else ""
    shared = "shared" if wide else _SHARED
    return _columns(("", "cells", "tokens", "what", "from", shared, f"at{day}", "took"), ("dim",) * 8, wide=wide)


def _row(cell: CellSpan, at: int, newest: float, *, drop: bool, wide: bool, running: bool) -> Line:
    letter, role = _KINDS[cell.kind]
    letter = letter if cell.source == "computed" else letter.lower()
    shared = f"with {cell.n_sharers} {'reply' if cell.n_sharers == 1 else 'replies'}" if wide else str(cell.n_sharers)
    fields = (
        f"{letter}{_SHARED if cell.n_sharers else ''}{'!' if drop else ''}",
        f"{at}–{at + cell.n_tokens - 1}",
        units.count(cell.n_tokens),
        cell.kind,
        _SOURCES[cell.source][wide] if cell.source in _SOURCES else cell.source,
        shared if cell.n_sharers else "",
        _when(cell, newest, running=running),
        units.ms(cell.ms or None),
    )
    roles = ("shared" if cell.n_sharers else role, "text", "value", "text", "text", "text", "text", "value")
    return _columns(fields, roles, wide=wide)


def _columns(fields: Sequence[str], roles: Sequence[str], *, wide: bool) -> Line:
    """Fields side by side; those of figures are flush right."""
    widths = (3, 16, -7, 2, 9, 33, 17, 20, -9) if wide else (3, 12, -6, 2, 8, 14, 4, 18, -9)
    padded = (*fields[:3], "", *fields[3:])
    texts = [f"{text:<{n}}" if n > 0 else f"{text:>{-n}}" for text, n in zip(padded, widths, strict=True)]
    return tuple(zip(texts, (*roles[:3], "text", *roles[3:]), strict=True))


def _newest(cells: Sequence[CellSpan]) -> float:
    return max((max(cell.first_at, cell.last_at) for cell in cells), default=0.0)


def _when(cell: CellSpan, newest: float, *, running: bool) -> str:
    """When the cells were computed: from the first to the last, or to now; with the day where that is another one."""
    now = "now" if running else units.UNKNOWN
    if not cell.first_at:
        return now if cell.source == "computed" else units.UNKNOWN
    first = _clock(cell.first_at, newest)
    last = _clock(cell.last_at, newest) if cell.last_at else now
    return first if first == last else f"{first}–{last}"


def _clock(at: float, newest: float) -> str:
    """The time of day; of another day than that of `newest` the day alone."""
    local = time.localtime(at)
    same = local[:3] == time.localtime(newest)[:3]
    return time.strftime("%H:%M:%S" if same else "%d %b %y", local)


def _texts(meter: RunMeter, cells: Sequence[CellSpan]) -> list[str]:
    """The text of each span; empty if the prompt is unknown or a shift has moved it."""
    if meter.n_shifted:
        return [""] * len(cells)
    texts: list[str] = []
    at, n_prompt = 0, meter.n_prompt
    for cell in cells:
        end = at + cell.n_tokens
        reported = (*meter.prompt[at:end], *meter.tokens[max(0, at - n_prompt) : max(0, end - n_prompt)])
        texts.append("".join(token.text for token in reported)[:_MOST_OF_A_TEXT])
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


CELLS = Panel(
    "cells",
    "KV-cache",
    "What fills the cells of the cache, and where it came from",
    4,
    lambda figures, width: cells_forms(figures.meter, figures.model, figures.context, width),
    PanelPage(
        lambda figures, width, height: cells_page(figures.meter, figures.model, figures.context, width, height),
        "the KV-cache",
        "Shows the model's memory as one strip: system prompt, earlier turns, this prompt, the reply, what is free. "
        "Lower-case cells were reused, & marks cells shared with other replies; the list gives text and times.",
        internal=True,
    ),
    extra=True,
)
