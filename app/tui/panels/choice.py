"""Which panels the user wants in the column. Pure; remembered as a line of text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from app.tui.panels.registry import PANELS


class Visibility(StrEnum):
    """When a panel is in the column."""

    AUTO = "if it fits"
    SHOWN = "always"
    HIDDEN = "never"


class PanelChoice:
    """A visibility for each panel; AUTO unless the user chose one."""

    def __init__(self, remembered: str = "") -> None:
        """`remembered` is a value of `text`; unknown panels in it are ignored."""
        known = {panel.name for panel in PANELS}
        self._wishes: dict[str, Visibility] = {}
        for part in remembered.split(","):
            name, _, wish = part.partition("=")
            if name in known and wish in ("shown", "hidden"):
                self._wishes[name] = Visibility[wish.upper()]

    def wish(self, name: str) -> Visibility:
        """The visibility of a panel."""
        return self._wishes.get(name, Visibility.AUTO)

    def change(self, name: str) -> Visibility:
        """Sets the panel to its next visibility and returns it."""
        order = list(Visibility)
        wish = order[(order.index(self.wish(name)) + 1) % len(order)]
        self._wishes[name] = wish
        return wish

    @property
    def text(self) -> str:
        """The choices as a line of text, for `PanelChoice(remembered)`."""
        return _text(self._wishes)


def _text(wishes: Mapping[str, Visibility]) -> str:
    made: Iterable[tuple[str, Visibility]] = sorted(wishes.items())
    return ",".join(f"{name}={wish.name.lower()}" for name, wish in made if wish is not Visibility.AUTO)
