"""Which panels the user wants in the column. Pure; remembered as a line of text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from app.tui.panels.registry import PANELS


class Visibility(StrEnum):
    """What is wanted of a panel."""

    AUTO = "where there is room"
    SHOWN = "always in the column"
    HIDDEN = "hidden"


class PanelChoice:
    """A wish for each panel; AUTO where none was made."""

    def __init__(self, remembered: str = "") -> None:
        """`remembered` is what `text` returned once; what it does not know of now is passed over."""
        known = {panel.name for panel in PANELS}
        self._wishes: dict[str, Visibility] = {}
        for part in remembered.split(","):
            name, _, wish = part.partition("=")
            if name in known and wish in ("shown", "hidden"):
                self._wishes[name] = Visibility[wish.upper()]

    def wish(self, name: str) -> Visibility:
        """What is wanted of a panel."""
        return self._wishes.get(name, Visibility.AUTO)

    def change(self, name: str) -> Visibility:
        """Goes on to the panel's next wish and returns it."""
        order = list(Visibility)
        wish = order[(order.index(self.wish(name)) + 1) % len(order)]
        self._wishes[name] = wish
        return wish

    @property
    def text(self) -> str:
        """The wishes that were made, to be remembered."""
        return _text(self._wishes)


def _text(wishes: Mapping[str, Visibility]) -> str:
    made: Iterable[tuple[str, Visibility]] = sorted(wishes.items())
    return ",".join(f"{name}={wish.name.lower()}" for name, wish in made if wish is not Visibility.AUTO)
