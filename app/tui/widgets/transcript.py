"""The transcript: one virtualised widget that shows a conversation as it streams, follows its end, and selects text.

It knows messages, not sessions: who calls it decides when text is flushed. Splitting, rendering and placing are done
below it (app.tui.markdown, app.tui.transcript), scrolling and painting by the view it is made from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import events
from textual.message import Message as TextualMessage
from textual.selection import Selection

from app.domain.conversation import Message
from app.tui.markdown.blocks import last_code
from app.tui.transcript.entry import GUTTER, Entry, Voice, note_block
from app.tui.transcript.messages import entry_for
from app.tui.transcript.selection import logical_text, paragraph_at, word_at
from app.tui.widgets.transcript_view import TranscriptView


class Transcript(TranscriptView):
    """Shows messages. `follow`: the view stays at the end while text arrives.

    Attributes:
        chosen_reply: the id of the reply that was clicked last; None when none was, and when another one came since.
    """

    @dataclass
    class MarkClicked(TextualMessage):
        """The mark before a reply was clicked; the reply is `chosen_reply`."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._streaming: Entry | None = None
        self.chosen_reply: int | None = None

    # -- what is shown

    def show(self, messages: Sequence[Message]) -> None:
        """Shows these messages and nothing else, from their end."""
        self._layout.clear()
        self._streaming = self.chosen_reply = None
        for message in messages:
            self._layout.add(entry_for(message))
        self._set_follow(True)
        self._place_end()

    def add(self, message: Message) -> None:
        """Adds a finished message at the end."""
        self._append_entry(entry_for(message))

    def notice(self, text: str, *, failed: bool = False) -> None:
        """Adds a dim line that is no message; `failed`: as a failure."""
        entry = Entry(Voice.NOTICE)
        entry.note = note_block(text, failed=failed)
        self._append_entry(entry)

    def begin_reply(self, message: Message) -> None:
        """Begins a reply that `append` makes grow; what `message` holds already is shown at once."""
        entry = Entry(Voice.ASSISTANT, message.content, message.id)
        entry.begin(self._width)
        self._streaming = entry
        self.chosen_reply = None
        self._append_entry(entry)

    def append(self, text: str) -> None:
        """Adds text to the reply that was begun: one call a flush. Without one it does nothing."""
        if self._streaming is not None and text:
            before = self._visible()
            self._streaming.feed(text, self._width)
            self._repaint_changes(before)

    def finish_reply(self, note: str = "", failed: bool = False) -> None:
        """Ends the reply, with a line under it that says how if there is something to say."""
        if self._streaming is not None:
            before = self._visible()
            self._streaming.finish(note_block(note, failed=failed) if note else None, self._width)
            self._streaming = None
            self._repaint_changes(before)

    def last_reply(self) -> str:
        """Returns the last reply as the model wrote it; empty if there is none."""
        return next((entry.source for entry in self._replies()), "")

    def last_code_block(self) -> str | None:
        """Returns the content of the last code block of the last reply that has one."""
        return next((code for entry in self._replies() if (code := last_code(entry.source)) is not None), None)

    def _replies(self) -> list[Entry]:
        return [entry for entry in reversed(self._layout.entries) if entry.voice is Voice.ASSISTANT]

    # -- selecting

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Returns the logical text of a selection (see app.tui.transcript.selection); never raises."""
        return logical_text(self._layout.line, self._layout.height, selection), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        """Paints the selection."""
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """Twice selects a word, three times a paragraph; the whole transcript never by accident."""
        if event.chain < 2:
            self._choose(event)
            return
        event.prevent_default()
        _, at = self.screen.get_widget_and_offset_at(event.screen_x, event.screen_y)
        if at is None:
            return
        chosen = word_at(self._layout.line, at) if event.chain == 2 else paragraph_at(self._layout.line, at.y)
        if chosen is not None:
            self.screen.selections = {self: chosen}

    def _choose(self, event: events.Click) -> None:
        row = event.y + self.scroll_offset.y
        if not self._layout.entries or not 0 <= row < self._layout.height:
            return
        entry = self._layout.entries[self._layout.locate(row)[0]]
        if entry.voice is Voice.ASSISTANT and entry.message_id is not None:
            self.chosen_reply = entry.message_id
            if event.x < GUTTER:
                self.post_message(self.MarkClicked())
