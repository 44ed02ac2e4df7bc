"""Which panels the user wants in the column. Pure; remembered as a line of text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Visibility(StrEnum):
    """What is wanted of a panel."""

    AUTO = "where there is room"
    SHOWN = "always in the column"
    HIDDEN = "hidden"


@dataclass(frozen=True)
class Panel:
    """One panel, in the column or as a page of its own."""

    name: str
    title: str
    help: str
    extra: bool = False
    """Whether it is seen only where every other panel has all the room it wants, unless it is chosen."""


PANELS: tuple[Panel, ...] = (
    Panel("speed", "Speed", "Tokens per second, now and on average"),
    Panel("prefill", "Prefill", "Reading the prompt: new and cached tokens"),
    Panel("ttft", "First token", "How long the first token took"),
    Panel("decode", "Decode", "The time of a token: median and 95th percentile"),
    Panel("speculation", "Speculation", "Drafts accepted, rejected, and whether they paid", extra=True),
    Panel("latency", "Latency", "The time from token to token, and what it is spent on", extra=True),
    Panel("cost", "Cost", "What an input and an output token cost"),
    Panel("context", "Context", "What fills the context window"),
    Panel("cells", "KV-cache", "What lies in the cache and where it came from", extra=True),
    Panel("next", "Next token", "What could have come next"),
    Panel("ending", "Ending", "Why it stops, or why it does not", extra=True),
    Panel("stop", "Stop", "Why the reply ended"),
    Panel("model", "Model", "What is loaded, and where"),
)


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
