"""The transcript: streams a conversation, follows its end, and selects text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from textual import events
from textual.app import App
from textual.content import Content
from textual.message import Message as TextualMessage
from textual.selection import Selection
from textual.timer import Timer
from textual.widgets import Static

from app.domain.conversation import Message
from app.domain.generation import Thinking
from app.tui.markdown.blocks import last_code
from app.tui.transcript.copied import copied
from app.tui.transcript.entry import GUTTER, Entry, Voice, note_block
from app.tui.transcript.notes import entry_for
from app.tui.transcript.selection import Pressed, fold_at, paragraph_at, reply_at, text_at, word_at
from app.tui.transcript.view import TranscriptView


class Transcript(TranscriptView):
    """Shows messages. `follow`: the view stays at the end while text arrives.

    Attributes:
        chosen_reply: the id of the reply that was clicked last; None once another reply begins.
        thinking: where the thinking is in the reply that was begun; set it before its next text, and before its end.
    """

    @dataclass
    class MarkClicked(TextualMessage):
        """The mark before a reply was clicked; the reply is `chosen_reply`."""

    @dataclass
    class TextClicked(TextualMessage):
        """A character of a reply was clicked once."""

        message_id: int
        n_bytes: int
        """UTF-8 bytes of the reply's content before it."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._streaming: Entry | None = None
        self.chosen_reply: int | None = None
        self.thinking: Thinking | None = None
        self._pressed: Pressed | None = None
        self._had_selection = False
        self._alone: Timer | None = None
        """Runs after a click until it cannot become a double click."""

    # -- what is shown

    def show(self, messages: Sequence[Message]) -> None:
        """Shows these messages alone, scrolled to their end."""
        self._layout.clear()
        self._streaming = self.chosen_reply = None
        for message in messages:
            self._layout.add(entry_for(message))
        self._set_follow(True)
        self._place_end()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to see, not even a notice."""
        return not self._layout.entries

    def add(self, message: Message) -> None:
        """Adds a finished message at the end."""
        self._layout.add(entry_for(message))
        self._height_changed()

    def notice(self, text: str, *, failed: bool = False) -> None:
        """Adds a notice as a dim line; `failed`: in the colour of errors."""
        entry = Entry(Voice.NOTICE)
        entry.note = note_block(text, failed=failed)
        self._layout.add(entry)
        self._height_changed()

    def begin_reply(self, message: Message) -> None:
        """Begins a reply for `append`; shows what `message` holds already."""
        entry = Entry(Voice.ASSISTANT, message.content, message.id, message.thinking)
        entry.begin(self._width)
        self._streaming, self.thinking = entry, message.thinking
        self.chosen_reply = None
        self._layout.add(entry)
        self._height_changed()

    def append(self, text: str) -> None:
        """Adds text to the reply that was begun, if any; one call a flush."""
        if self._streaming is not None and text:
            before = self._visible()
            self._streaming.thinking = self.thinking
            self._streaming.feed(text, self._width)
            self._repaint_changes(self._streaming, before)

    def finish_reply(self, note: str = "", failed: bool = False) -> None:
        """Ends the reply, with `note` under it."""
        entry, self._streaming = self._streaming, None
        if entry is not None:
            before = self._visible()
            entry.thinking = self.thinking
            entry.finish(note_block(note, failed=failed) if note else None, self._width)
            self._repaint_changes(entry, before)

    def last_reply(self) -> str:
        """Returns the answer of the last reply as the model wrote it; empty if there is none."""
        replies = (entry for entry in reversed(self._layout.entries) if entry.voice is Voice.ASSISTANT)
        return next((entry.source[entry.answer_from :] for entry in replies), "")

    def last_code_block(self) -> str | None:
        """Returns the content of the last code block of the last reply that has one."""
        replies = (entry for entry in reversed(self._layout.entries) if entry.voice is Voice.ASSISTANT)
        return next((code for entry in replies if (code := _last_code(entry)) is not None), None)

    # -- thinking

    def toggle_thinking(self, clicked: Entry | None = None) -> bool:
        """Opens or closes the thinking of a reply: of `clicked`, else of the chosen one, else of the last that has any.

        Returns False if there is none.
        """
        replies = [entry for entry in reversed(self._layout.entries) if entry.voice is Voice.ASSISTANT]
        chosen = [entry for entry in replies if self.chosen_reply and entry.message_id == self.chosen_reply]
        entries = [clicked] if clicked else [*chosen, *replies]
        entry = next((each for each in entries if each.toggle_thinking(self._width)), None)
        if entry is None:
            return False
        self._layout.changed(entry)
        if self.follow and entry is self._streaming:
            self._place_end()
        else:
            self._go_to(min(self.scroll_offset.y, self._layout.top_of(self._layout.entries.index(entry))))
        return True

    # -- selecting

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Returns the text under a selection as it was written, of notes as it is shown; never raises."""
        return copied(self._layout, selection), "\n"

    # -- clicking

    def focus_on_click(self) -> bool:
        """Notes the selection: this is called before a press ends it."""
        self._had_selection = bool(self.screen.selections)
        return super().focus_on_click()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Keeps what was pressed: the text may move before the button is released."""
        self._pressed = None
        if self._alone is not None:
            self._alone.stop()
            self._alone = None
        row = event.y + self.scroll_offset.y
        plain = event.button == 1 and not (event.shift or event.ctrl or event.meta)
        if plain and not self._had_selection and 0 <= row < self._layout.height:
            self._pressed = Pressed(event.screen_offset, *self._layout.anchor(row), event.x)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Takes a drag for no click, even if it returns."""
        if self._pressed is not None and event.screen_offset != self._pressed.where:
            self._pressed = None

    def on_click(self, event: events.Click) -> None:
        """Goes to a token or chooses a reply; a double click selects a word, a triple click a paragraph.

        A single click on a selection only ends it.
        """
        pressed, self._pressed = self._pressed, None
        if event.chain < 2:
            if self._had_selection:
                return
            reply = reply_at(self._layout, event.y + self.scroll_offset.y)
            if (folded := fold_at(self._layout, event.y + self.scroll_offset.y)) is not None:
                self.toggle_thinking(folded)
                return
            if reply is not None:
                self.chosen_reply = reply
                if event.x < GUTTER:
                    self.post_message(self.MarkClicked())
            if pressed is not None and pressed.where == event.screen_offset:
                found = text_at(self._layout, pressed)
                self._alone = _report_alone(self, *found) if found else None
            return
        event.prevent_default()
        _, at = self.screen.get_widget_and_offset_at(event.screen_x, event.screen_y)
        if at is None:
            return
        chosen = word_at(self._layout.line, at) if event.chain == 2 else paragraph_at(self._layout.line, at.y)
        if chosen is not None:
            self.screen.selections = {self: chosen}


def _report_alone(view: Transcript, message_id: int, n_bytes: int) -> Timer:
    """Reports a click on text once it is sure that no second click follows."""

    def report() -> None:
        if view.screen.is_active:
            view.post_message(Transcript.TextClicked(message_id, n_bytes))

    wait_s = cast("App[Any]", view.app).CLICK_CHAIN_TIME_THRESHOLD  # pyright: ignore[reportUnknownMemberType]  (untyped in textual)
    return view.set_timer(wait_s, report)


def _last_code(entry: Entry) -> str | None:
    return last_code(entry.source[entry.answer_from :])


class Pill(Static):
    """Says that there are new lines below; a click runs its action."""

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
        """Shows how many lines are new and the key that goes there; hides if there are none."""
        self.display = n_lines > 0
        if n_lines:
            self.update(Content(f"↓ {n_lines} new line{'' if n_lines == 1 else 's'} · {key}"))

    async def on_click(self) -> None:
        """Runs the action."""
        await self.run_action(self._action)
