"""The manual in the chat: its topics under a search, and one topic to read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.markdown import Markdown
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from app.manual import TOPICS, find, read_topic, without_links
from app.tui.common.safe import Dialog
from app.tui.dialogs.picker import Picker, PickerRow, matches

_N_FOUND = 100


class ManualTopic(Dialog[None]):
    """One topic, rendered, from its beginning or from a heading on."""

    def __init__(self, topic: str, line: str = "") -> None:
        super().__init__()
        text = without_links(read_topic(topic))
        at = max(0, text.find(without_links(line))) if line else 0
        self._parts = text[:at], text[at:]

    def compose(self) -> ComposeResult:
        """Lays the dialog out."""
        with Vertical(classes="dialog dialog-tall"):
            with VerticalScroll(classes="dialog-scroll"):
                for part in filter(None, self._parts):
                    yield Static(Markdown(part, hyperlinks=False), classes="manual-part")
            yield Static("↑ ↓ scroll   Esc back", classes="dialog-hints", markup=False)

    def on_mount(self) -> None:
        """Scrolls to the line that was asked for."""
        scroll = self.query_one(VerticalScroll)
        scroll.focus()
        if self._parts[0]:
            wanted = self.query(".manual-part").last()
            self.call_after_refresh(scroll.scroll_to_widget, wanted, animate=False, top=True)


class ManualPicker(Picker):
    """Lists the topics, and the lines that hold the words typed; a choice is shown above the list."""

    TITLE_TEXT: ClassVar[str] = "Manual"
    PLACEHOLDER: ClassVar[str] = "type to search the manual"
    HINTS: ClassVar[str] = "Enter read   Esc close"

    async def find(self, query: str) -> Sequence[PickerRow]:
        """Returns the topics that match by name or subject, then the lines that hold every word."""
        topics = [PickerRow(name, name, about) for name, about in TOPICS.items() if matches(query, name, about)]
        lines = list(dict.fromkeys(find(query)))[:_N_FOUND]
        return [*topics, *(PickerRow(f"{name}\n{line}", line.strip("#| "), name) for name, line in lines)]

    def choose(self, row: PickerRow) -> None:
        """Opens the topic; Esc there comes back to the list."""
        topic, _, line = row.id.partition("\n")
        self.app.push_screen(ManualTopic(topic, line))  # pyright: ignore[reportUnknownMemberType]  App is generic
