"""Where a prompt is written: several lines, a history, and pastes of any size.

Posts what is to be sent and knows nothing of what becomes of it; Ctrl+C and Esc are left to the app.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.actions import SkipAction
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.document._document import EditResult, Location
from textual.document._edit import Edit
from textual.message import Message
from textual.widgets import TextArea

from app.domain.conversation import UserMessage
from app.tui.widgets.chips import MAX_LINES, Chips, chip_at, normalise, show
from app.tui.widgets.history_walk import HistoryWalk

_JOINERS = "\u200c\u200d"
"""Typed in Persian, in Indic scripts and within emoji, though Python does not call them printable."""

_NOTE_ENDS = 6
"""Cells of the lower border that a remark leaves to the border itself."""


def is_typed(event: events.Key) -> bool:
    """Tells whether a key writes a character."""
    return bool(event.character) and (event.is_printable or event.character in _JOINERS)


class Composer(TextArea):
    """The prompt's text area: Enter sends, Ctrl+J breaks the line (Shift+Enter, Alt+Enter), Up and Down walk history.

    The height follows the text, from one line to ten.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+j,shift+enter,alt+enter", "newline", "New line", show=False),
    ]

    DEFAULT_CSS = """
    Composer {
        height: auto;
        min-height: 3;
        max-height: 12;
        border: round $border-blurred;
        background: $background;
        border-subtitle-color: $foreground-muted;
        &:focus { border: round $border; }
        &.-warns { border-subtitle-color: $warning; border-subtitle-style: bold; }
        &:ansi .text-area--placeholder { text-style: dim; }
    }
    """

    class Submitted(Message):
        """Enter was pressed on a prompt that is not blank.

        Attributes:
            sent: the prompt, pastes in full. If it cannot be sent, give its text back with `put_draft`.
        """

        def __init__(self, sent: UserMessage) -> None:
            super().__init__()
            self.sent = sent

    def __init__(self, placeholder: str = "", *, id: str | None = None, classes: str | None = None) -> None:
        self._chips = Chips()
        self._documents: dict[str, str] = {}
        """Sent prompts to the documents they were written in, so that their chips come back as they were."""
        self._walk = HistoryWalk(self._document_of)
        self._notes: Sequence[str] = ()
        self.note_shown = ""
        """The remark on the border, for tests and for reading aloud."""
        super().__init__(id=id, classes=classes, soft_wrap=True, tab_behavior="focus", highlight_cursor_line=False)
        self.set_reactive(TextArea.cursor_blink, False)
        self.set_reactive(TextArea.match_cursor_bracket, False)
        self.set_placeholder(placeholder)

    def set_placeholder(self, text: str) -> None:
        """Shows `text` literally while the composer is empty."""
        self.placeholder = Content(text)

    def note(self, forms: Sequence[str], *, warns: bool = False) -> None:
        """Shows a remark on the lower border, in the first of its forms that fits; without forms, none."""
        if forms != self._notes:
            self._notes = forms
            self.set_class(warns, "-warns")
            self._show_note()

    def on_resize(self) -> None:
        """Shows the remark in the form that has room now."""
        self._show_note()

    def _show_note(self) -> None:
        room = self.outer_size.width - _NOTE_ENDS
        fitting = next((form for form in self._notes if len(form) <= room), self._notes[-1] if self._notes else "")
        if fitting != self.note_shown:
            self.note_shown = fitting
            self.border_subtitle = Content(fitting) if fitting else None  # pyright: ignore[reportAttributeAccessIssue]  a str would be markup

    # What the screen keeps

    def set_history(self, prompts: Sequence[str]) -> None:
        """Takes the prompts that Up walks through, newest last. What is being written stays."""
        self._walk.replace(prompts)

    def take_draft(self) -> str:
        """Empties the composer and returns what was written and not sent, pastes in full."""
        document = self._walk.unsent(self.text)
        text = self._chips.expand(document)
        self._documents[text] = document
        self._walk.rest()
        self._load("")
        return text

    def put_draft(self, text: str) -> None:
        """Puts back a draft, or a prompt that could not be sent, before whatever has been written meanwhile."""
        written = self._walk.unsent(self.text)
        self._walk.rest()
        self._load("\n".join(part for part in (self._document_of(text), written) if part))

    @property
    def draft(self) -> str:
        """What is written now, pastes in full."""
        return self._chips.expand(self.text)

    @property
    def unsent(self) -> str:
        """What `take_draft` would return."""
        return self._chips.expand(self._walk.unsent(self.text))

    # Sending

    def action_send(self) -> None:
        """Posts the prompt and empties the composer; a draft beneath a recalled prompt comes back."""
        document, beneath = self.text, self._walk.draft
        text = self._chips.expand(document)
        if not text.strip():
            return
        self._documents[text] = document
        self._walk.add(text)
        self._load(beneath)
        self.post_message(self.Submitted(UserMessage(text)))

    def action_newline(self) -> None:
        """Breaks the line at the cursor, in place of what is selected."""
        self._replace_via_keyboard("\n", *self.selection)

    def clear_text(self) -> None:
        """Deletes what is shown, in one step that undo brings back."""
        self.history.checkpoint()
        self._delete_via_keyboard(self.document.start, self.document.end)
        self.history.checkpoint()

    def type(self, char: str) -> None:
        """Writes a character in place of what is selected."""
        self._replace_via_keyboard(char, *self.selection)

    def edits(self, key: str) -> bool:
        """Tells whether a key that writes nothing would change or send what is written, or move in it."""
        known = key in self._bindings.key_to_bindings or key in {"enter", "shift+\r"}
        return known and (bool(self.text) or key in {"ctrl+v", "ctrl+z", "ctrl+y"})

    def move_word(self, by: int) -> None:
        """Moves the cursor by a word; negative is back."""
        self.action_cursor_word_left() if by < 0 else self.action_cursor_word_right()

    async def _on_key(self, event: events.Key) -> None:
        if await self.take_key(event):
            event.stop()
            event.prevent_default()

    async def take_key(self, event: events.Key) -> bool:
        """Does what a key does here; False when that is nothing."""
        # A priority binding would run before keys typed in the same burst have arrived, and a plain one, which waits
        # until the key has bubbled up to the app, after them.
        if event.key == "enter":
            self.action_send()
        elif event.key == "shift+\r":
            # xterm's modifyOtherKeys sends ESC[27;2;13~ for Shift+Enter, which Textual names so.
            self.action_newline()
        elif is_typed(event):
            self.type(event.character or "")
        else:
            return await self._run_own_binding(event.key)
        return True

    async def _run_own_binding(self, key: str) -> bool:
        for binding in self._bindings.key_to_bindings.get(key, ()):
            if await self.app.run_action(binding.action, self):  # pyright: ignore[reportUnknownMemberType]  App is generic
                return True
        return False

    # Pasting

    async def _on_paste(self, event: events.Paste) -> None:
        # Textual's own handlers would insert the text a second time.
        event.stop()
        event.prevent_default()
        self.paste(event.text)

    def action_paste(self) -> None:
        """Pastes what was last copied in the app."""
        self.paste(self.app.clipboard)  # pyright: ignore[reportUnknownMemberType]  App is generic in its result

    def action_cut(self) -> None:
        """Cuts the selection, or the line where nothing is selected."""
        if self.selection.is_empty:
            self.action_select_line()
        if text := self.selected_text:
            self._delete_via_keyboard(*self.selection)
            self.app.copy_to_clipboard(text)  # pyright: ignore[reportUnknownMemberType]  App is generic in its result

    def action_copy(self) -> None:
        """Leaves Ctrl+C to the app, which copies `selected_text`."""
        raise SkipAction()

    @property
    def selected_text(self) -> str:
        """The selection, pastes in full."""
        return self._chips.expand(super().selected_text)

    def paste(self, text: str) -> None:
        """Inserts text in place of what is selected, as a chip where it is long."""
        document = self._chips.admit(normalise(text), MAX_LINES)
        if result := self._replace_via_keyboard(document, *self.selection):
            self.move_cursor(result.end_location)

    def edit(self, edit: Edit) -> EditResult:
        """Performs an edit, widened where it would cut a chip: a chip goes as a whole."""
        (top, start), (bottom, end) = edit.top, edit.bottom
        if top == bottom:
            start, end = chip_at(self.document.get_line(top), start, end)
        else:
            start, _ = chip_at(self.document.get_line(top), start, len(self.document.get_line(top)))
            _, end = chip_at(self.document.get_line(bottom), 0, end)
        edit.from_location, edit.to_location = (top, start), (bottom, end)
        self.note(())  # the note about the text is out of date, and `Changed` comes behind waiting keys
        return super().edit(edit)

    def get_line(self, line_index: int) -> Text:
        """Returns a line as it is drawn."""
        return Text(show(self.document.get_line(line_index)), end="", no_wrap=True)

    def find_matching_bracket(self, bracket: str, search_from: Location) -> Location | None:
        """Finds none: prose has no brackets to match, and the search reads the whole text."""
        return None

    # History

    def action_cursor_up(self, select: bool = False) -> None:
        """Goes up a line, and from the first one to the prompt before."""
        if select or self._visual_row() > 0 or not self._recall(-1):
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        """Goes down a line, and from the last one to the prompt after, the draft last."""
        if select or self._visual_row() < self.wrapped_document.height - 1 or not self._recall(1):
            super().action_cursor_down(select)

    def _visual_row(self) -> int:
        return self.wrapped_document.location_to_offset(self.cursor_location).y

    def _recall(self, by: int) -> bool:
        document = self._walk.step(by, self.text)
        if document is None:
            return False
        self._load(document)
        if by < 0 and self.wrapped_document.height > 1:
            self.move_cursor((0, 0))
        return True

    def _document_of(self, text: str) -> str:
        return self._documents.get(text) or self._chips.admit(normalise(text))

    def _load(self, document: str) -> None:
        self.note(())
        self.load_text(document)
        self.move_cursor(self.document.end)
