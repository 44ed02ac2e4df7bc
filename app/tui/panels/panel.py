"""What a panel is. Each one is declared once, in its own module, and listed in `registry`.

The column, the full-screen page, the picker, the palette's "Watch" commands, the help and the manual come from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.analysis.ending import ReplyContext
from app.analysis.meter import RunMeter
from app.protocol.events import ModelReady
from app.tui.widgets.line import Forms, Line, spread


@dataclass(frozen=True)
class Figures:
    """What a panel draws."""

    meter: RunMeter
    model: ModelReady | None
    context: ReplyContext


@dataclass(frozen=True)
class PanelPage:
    """A panel as large as the screen."""

    draw: Callable[[Figures, int, int], list[Line]]
    """Returns at most so many lines (the last argument) of so many cells."""
    noun: str
    """What is watched, as in the command "Watch the KV-cache"."""
    about: str
    """Two sentences for the help."""
    shows_tokens: bool = False
    """Whether the reply's tokens stand below it, marked by origin, with a key that turns speculation on and off."""
    internal: bool = False
    """Whether its figures come from inside the engine, which not every backend reports."""


@dataclass(frozen=True)
class Panel:
    """One panel of the column."""

    name: str
    """In the settings, and in `watch_NAME`, the command of its page."""
    title: str
    help: str
    """What it shows, in a few words."""
    importance: int
    """The least important shrink and go first if the screen is low."""
    draw: Callable[[Figures, int], Forms]
    """Returns every form for so many cells, the fullest first; heights never depend on the figures."""
    page: PanelPage | None = None
    """Without one, the panel opens on the page of all figures."""
    extra: bool = False
    """Whether it is shown only if every other panel has all the room it wants, unless the user chooses it."""


def title_line(title: str, value: str, width: int) -> Line:
    """Returns a title with its value flush right."""
    return spread(((title, "title"),), ((value, "value"),), width)
