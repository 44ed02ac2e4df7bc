"""Which panels a column of a given height holds, and in which form. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from app.tui.panels.line import BLANK, Line
from app.tui.panels.sections import Section


def fit(panels: Sequence[Section], height: int) -> list[Line]:
    """Returns at most `height` lines: gaps go first, then the least important panel shrinks and goes,
    then the next.

    The choice depends on the heights of the forms alone, so nothing moves while figures change.
    """
    chosen = dict.fromkeys((panel.name for panel in panels), 0)
    by_importance = sorted(panels, key=lambda panel: panel.importance)

    def n_lines() -> int:
        return sum(len(panel.forms[chosen[panel.name]]) for panel in panels if panel.name in chosen)

    for panel in by_importance:
        while n_lines() > height and chosen[panel.name] < len(panel.forms) - 1:
            chosen[panel.name] += 1
        if n_lines() > height:
            del chosen[panel.name]
    gaps = n_lines() + len(chosen) - 1 <= height
    lines: list[Line] = []
    for panel in panels:
        if panel.name in chosen:
            if lines and gaps:
                lines.append(BLANK)
            lines += panel.forms[chosen[panel.name]]
    return lines[:height]
