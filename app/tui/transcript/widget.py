"""The transcript: a virtualised widget that streams a conversation, follows its end, and selects text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from textual import events
from textual.app import App
from textual.content import Content
from textual.geometry import Offset
from textual.message import Message as TextualMessage
from textual.selection import Selection
from textual.timer import Timer
from textual.widgets import Static

from app.domain.conversation import Message
from app.tui.markdown.blocks import last_code
from app.tui.transcript.copied import copied
from app.tui.transcript.entry import GUTTER, Entry, Voice, note_block
from app.tui.transcript.notes import entry_for
from app.tui.transcript.selection import character_at, paragraph_at, word_at
from app.tui.transcript.view import TranscriptView


class _Pressed(NamedTuple):
    """Where the button went down: the cell of the screen, and what stood there."""

    where: Offset
    entry: int
    part: int
    row: int
    cell: int


class Transcript(TranscriptView):
    """Shows messages. `follow`: the view stays at the end while text arrives.

    Attributes:
        chosen_reply: the id of the reply that was clicked last; None when none was, and when another one came since.
    """

    @dataclass
    class MarkClicked(TextualMessage):
        """The mark before a reply was clicked; the reply is `chosen_reply`."""

    @dataclass
    class TextClicked(TextualMessage):
        """A character of a reply was clicked, and no second click came."""

        message_id: int
        n_bytes: int
        """UTF-8 bytes of the reply's content before it."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._streaming: Entry | None = None
        self.chosen_reply: int | None = None
        self._pressed: _Pressed | None = None
        self._had_selection = False
        self._alone: Timer | None = None
        """Runs after a click until it is no part of a double click any more."""

    # -- what is shown

    def show(self, messages: Sequence[Message]) -> None:
        """Shows these messages and nothing else, from their end."""
        self._layout.clear()
        self._streaming = self.chosen_reply = None
        for message in messages:
            self._layout.add(entry_for(message))
        self._set_follow(True)
        self._place_end()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to see, notices included."""
        return not self._layout.entries

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
            self._repaint_changes(self._streaming, before)

    def finish_reply(self, note: str = "", failed: bool = False) -> None:
        """Ends the reply, with a line under it that says how if there is something to say."""
        entry, self._streaming = self._streaming, None
        if entry is not None:
            before = self._visible()
            entry.finish(note_block(note, failed=failed) if note else None, self._width)
            self._repaint_changes(entry, before)

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
        """Returns the text under a selection as it was written, of notes as it is shown; never raises."""
        return copied(self._layout, selection), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        """Paints the selection."""
        self.refresh()

    # -- clicking

    def focus_on_click(self) -> bool:
        """Asked before a press is acted on: the last moment at which a selection that it ends can be seen."""
        self._had_selection = bool(self.screen.selections)
        return super().focus_on_click()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Keeps what was pressed: the text below the pointer may move on before the button is let go."""
        self._forget_click()
        row = event.y + self.scroll_offset.y
        plain = event.button == 1 and not (event.shift or event.ctrl or event.meta)
        if plain and not self._had_selection and 0 <= row < self._layout.height:
            self._pressed = _Pressed(event.screen_offset, *self._layout.anchor(row), event.x)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """What is dragged is not clicked, even if it comes back."""
        if self._pressed is not None and event.screen_offset != self._pressed.where:
            self._pressed = None

    def on_click(self, event: events.Click) -> None:
        """Once goes to a token or chooses a reply, twice selects a word, three times a paragraph.

        Where something was selected, one click only ends that.
        """
        pressed, self._pressed = self._pressed, None
        if event.chain < 2:
            if not self._had_selection:
                self._choose(event)
                if pressed is not None and pressed.where == event.screen_offset:
                    self._look_at(pressed)
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

    def _look_at(self, pressed: _Pressed) -> None:
        look = self._layout.look
        if look is None or pressed.entry >= len(self._layout.entries):
            return
        entry = self._layout.entries[pressed.entry]
        at = character_at(entry, pressed.part, pressed.row, pressed.cell, look)
        if at is not None and entry.message_id is not None:
            clicked = self.TextClicked(entry.message_id, len(entry.source[:at].encode()))
            wait_s = cast("App[Any]", self.app).CLICK_CHAIN_TIME_THRESHOLD  # pyright: ignore[reportUnknownMemberType]  (untyped in textual)
            self._alone = self.set_timer(wait_s, lambda: self._report_click(clicked))

    def _report_click(self, clicked: TextClicked) -> None:
        if self.screen.is_active:
            self.post_message(clicked)

    def _forget_click(self) -> None:
        self._pressed = None
        if self._alone is not None:
            self._alone.stop()
            self._alone = None


class Pill(Static):
    """Hidden while there is nothing new; a click runs its action."""

    DEFAULT_CSS = """
    Pill {
        display: none;
        dock: bottom;
        width: 100%;
        height: 1;
        text-align: center;
        text-style: bold;
        background: $panel;
        color: $primary;
    }
    """

    def __init__(self, action: str, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self._action = action

    def show(self, n_lines: int, key: str) -> None:
        """Shows how many lines are new and the key that goes there; hides with none."""
        self.display = n_lines > 0
        if n_lines:
            self.update(Content(f"↓ {n_lines} new line{'' if n_lines == 1 else 's'} · {key}"))

    async def on_click(self) -> None:
        """Goes there."""
        await self.run_action(self._action)
