"""Which panels a column of a given height holds, and in which form. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from app.tui.panels.line import BLANK, Line
from app.tui.panels.sections import Section

Row = tuple[str, Line]
"""The name of a panel, empty between two, and a line of it."""


def fit(panels: Sequence[Section], height: int) -> list[Row]:
    """Returns at most `height` rows: extras are left out first, then gaps go, then the least important panel shrinks
    and goes, then the next.

    The choice depends on the heights of the forms alone, so nothing moves while figures change.
    """
    chosen = {panel.name: 0 for panel in panels if not panel.extra}
    by_importance = sorted(panels, key=lambda panel: panel.importance)

    def n_lines() -> int:
        return sum(len(panel.forms[chosen[panel.name]]) for panel in panels if panel.name in chosen)

    for panel in by_importance:
        if panel.extra:
            continue
        while n_lines() > height and chosen[panel.name] < len(panel.forms) - 1:
            chosen[panel.name] += 1
        if n_lines() > height:
            del chosen[panel.name]
    gaps = n_lines() + len(chosen) - 1 <= height
    if gaps:
        for panel in reversed(by_importance):
            room = height - n_lines() - len(chosen)
            form = next((at for at, form in enumerate(panel.forms) if len(form) <= room), None)
            if panel.extra and form is not None:
                chosen[panel.name] = form
    rows: list[Row] = []
    for panel in panels:
        if panel.name in chosen:
            if rows and gaps:
                rows.append(("", BLANK))
            rows += [(panel.name, line) for line in panel.forms[chosen[panel.name]]]
    return rows[:height]
