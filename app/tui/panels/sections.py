"""The panels of the column: which are drawn, which of them fit a height, and in which form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.analysis.ending import ReplyContext
from app.analysis.meter import RunMeter
from app.protocol.events import ModelReady
from app.tui.panels.choice import PanelChoice, Visibility
from app.tui.panels.panel import Figures
from app.tui.panels.registry import PANELS
from app.tui.widgets.line import BLANK, Forms, Line

_CHOSEN = 100
"""What a panel gains in importance when the user wants it."""
_SETTING, _CHOICE = ReplyContext(), PanelChoice()

Row = tuple[str, Line]
"""The name of a panel, empty between two, and a line of it."""


@dataclass(frozen=True)
class PanelText:
    """One panel in every form it can take, the fullest first."""

    name: str
    importance: int
    forms: Forms
    extra: bool = False
    """Whether it is shown only if all the others have the room they want."""


def sections(
    meter: RunMeter,
    model: ModelReady | None,
    width: int,
    setting: ReplyContext = _SETTING,
    choice: PanelChoice = _CHOICE,
    *,
    extras: bool = True,
) -> tuple[PanelText, ...]:
    """Returns the panels that are not hidden from top to bottom, drawn for `width` cells.

    `extras`: with those that need room that nobody else wants.
    """
    figures = Figures(meter, model, setting)
    made: list[PanelText] = []
    for panel in PANELS:
        wish = choice.wish(panel.name)
        extra = panel.extra and wish is Visibility.AUTO
        if wish is Visibility.HIDDEN or (extra and not extras):
            continue
        importance = panel.importance + (_CHOSEN if wish is Visibility.SHOWN else 0)
        made.append(PanelText(panel.name, importance, panel.draw(figures, width), extra))
    return tuple(made)


def fit(panels: Sequence[PanelText], height: int) -> list[Row]:
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
