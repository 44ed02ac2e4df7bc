"""What fills the context window."""

from __future__ import annotations

from app.analysis.meter import RunMeter
from app.domain import units
from app.protocol.events import ModelReady
from app.tui.panels.panel import Panel, title_line
from app.tui.widgets.line import Forms, Line, share, width_of


def _context(meter: RunMeter, model: ModelReady | None, width: int) -> Forms:
    if model is None or not model.n_ctx or not meter.context_known:
        empty: Line = (("·" * width, "free"),)
        title = title_line("CONTEXT", units.UNKNOWN, width)
        return (title, empty, (), (), ()), (title, empty), (title,)
    use = meter.context(model.n_ctx)
    title = title_line(
        "CONTEXT", f"{units.count(use.n_used)} of {units.count(use.n_ctx)} · {units.percent(use.fraction)}", width
    )
    divided = (
        ("S", "system", "system", use.n_system),
        ("H", "history", "history", use.n_history),
        ("T", "turn", "turn", use.n_turn),
    )
    parts = (
        *(divided if not use.n_undivided else (("P", "turn", "prompt", use.n_undivided),)),
        ("R", "reply", "reply", use.n_reply),
        ("·", "free", "free", use.n_free),
    )
    cells = share([n for *_, n in parts], width)
    strip: Line = tuple(
        (letter * n, f"{role}-block" if role != "free" else role)
        for (letter, role, *_), n in zip(parts, cells, strict=True)
        if n
    )
    half = width // 2
    legend = [((letter, role), (f" {name} ", "dim"), (units.count(n), "value")) for letter, role, name, n in parts]
    rows = tuple(_columns(legend[i : i + 2], half) for i in (0, 2, 4))
    return (title, strip, *rows), (title, strip), (title,)


def _columns(cells: list[tuple[tuple[str, str], ...]], width: int) -> Line:
    line: Line = ()
    for cell in cells:
        line = (*line, (" " * (-width_of(line) % width), "text"), *cell) if line else cell
    return line


CONTEXT = Panel(
    "context",
    "Context",
    "What fills the context window",
    8,
    lambda figures, width: _context(figures.meter, figures.model, width),
)
