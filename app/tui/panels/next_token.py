"""What could have come next."""

from __future__ import annotations

from app.analysis.meter import RunMeter
from app.domain import units
from app.domain.probability import percent
from app.tui.panels.panel import Panel
from app.tui.widgets.line import Forms, Line, bar, p_role, spread, visible

N_CANDIDATES = 10


def _next(meter: RunMeter, width: int) -> Forms:
    last = meter.last
    entropy = f"entropy {units.bits(last.entropy)}" if last is not None else ""
    title = spread((("NEXT TOKEN", "title"),), ((entropy, "dim"),), width)
    return tuple((title, *_candidates(meter, width, n)) for n in (N_CANDIDATES, 8, 6, 5, 4, 3, 2, 1))


def _candidates(meter: RunMeter, width: int, n: int) -> list[Line]:
    rows: list[Line] = []
    n_text = max(8, width // 3)
    for candidate in meter.candidates(n):
        token, role = candidate.token, p_role(candidate.token.p)
        in_order = candidate.rank == len(rows) + 1
        drawn = bar(token.p, width - n_text - 10) if in_order else f"rank {candidate.rank}"
        rows.append(
            (
                ("▶ " if candidate.chosen else "  ", "value"),
                (visible(token.text, n_text), "value" if candidate.chosen else "text"),
                (f"{percent(token.p):>7} ", role),
                (drawn, role),
            )
        )
    return rows + [()] * (n - len(rows))


NEXT_TOKEN = Panel(
    "next", "Next token", "What could have come next", 4, lambda figures, width: _next(figures.meter, width)
)
