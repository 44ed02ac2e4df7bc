"""The chat's commands, each a line or two; the work is done in `app.tui.chat` by the objects that the screen brings."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Coroutine
from pathlib import Path
from time import monotonic

from textual.app import App
from textual.notifications import SeverityLevel

from app.client.engine import EngineState
from app.domain.errors import TokscopeError
from app.domain.text import safe_text
from app.session.send_queue import Chat
from app.session.session import Session
from app.tui.chat.choices import Choices
from app.tui.chat.conversations import Conversations
from app.tui.chat.input import InputGate, InputHold
from app.tui.chat.library import as_markdown
from app.tui.chat.settings import ModelLoads
from app.tui.common.commands import COMMANDS
from app.tui.common.keymap import Keymap
from app.tui.common.safe import Dialog, Result, SafeScreen
from app.tui.common.services import Services
from app.tui.common.theme_manager import ThemeManager
from app.tui.dialogs.help import Help, user_files
from app.tui.dialogs.pickers import Palette
from app.tui.panels.controller import PanelController
from app.tui.step.dock import StepDock
from app.tui.terminal.clipboard import say_who_took
from app.tui.transcript.widget import Transcript
from app.tui.widgets.composer import Composer

_TWICE_S = 3.0
"""Two presses of the stop key within this time clear the composer; the notice lasts as long."""

_LOW_ROWS = 5
"""Rows of the composer and of the lines below it, over which notices stand."""


class ChatCommands(SafeScreen):
    """The actions of `app.tui.common.commands`; `ChatScreen` sets what they work with."""

    transcript: Transcript
    composer: Composer
    chat: Chat
    conversations: Conversations
    choices: Choices
    loads: ModelLoads
    watching: PanelController
    step_dock: StepDock
    _host: App[int]
    _services: Services
    _session: Session
    _keymap: Keymap
    _wardrobe: ThemeManager
    gate: InputGate
    _escaped_at_s = -_TWICE_S
    _models_dir: Path | None
    _continues: bool = False
    """Whether the last chat is being opened, or was."""

    @abstractmethod
    def refresh_state(self) -> None:
        """Shows what has changed."""

    @abstractmethod
    def refresh_panels(self) -> None:
        """Shows the meter's figures."""

    def _store_opened(self) -> None:
        self._do(self.conversations.sweep())
        if self._services.options.continue_last and not self._session.branch:
            self._continues = True
            self._do(self._continue_last())

    def _stopped_for_model(self) -> None:
        again = self._keymap.label("regenerate")
        self.announce(f"The reply was stopped for the other model; what had come is kept. {again} writes it again.")

    async def _continue_last(self) -> None:
        try:
            await self.conversations.open_last()
        finally:
            self.loads.first()

    def announce(self, text: str, severity: SeverityLevel = "information", timeout_s: float | None = None) -> None:
        """Shows a passing notice above what is being written or chosen."""
        self.place_notices()
        self._host.notify(safe_text(text), severity=severity, timeout=timeout_s, markup=False)

    def place_notices(self) -> None:
        """Moves the notices above the composer, or above the candidates of a held reply."""
        lowest = self.step_dock if self.step_dock.display else self.composer
        if lowest.region:
            margin = max(_LOW_ROWS, self.size.height - lowest.region.y)
            for rack in self.query("ToastRack"):
                rack.styles.margin = (0, 0, margin, 0)

    def _do(self, work: Coroutine[object, object, None]) -> None:
        self.run_worker(self._reporting_errors(work), group="commands")

    async def _reporting_errors(self, work: Coroutine[object, object, None]) -> None:
        try:
            await work
        except TokscopeError as error:
            self.announce(error.full_message, "error")

    def _open(self, work: Coroutine[object, object, None]) -> None:
        """Runs what opens a dialog; what is typed until it is there is the dialog's."""
        self.run_worker(self._opening(work, self.gate.hold()), group="commands")

    async def _opening(self, work: Coroutine[object, object, None], hold: InputHold) -> None:
        try:
            await self._reporting_errors(work)
        finally:
            self._host.call_later(self.gate.release, hold)

    async def _ask(self, dialog: Dialog[Result]) -> Result | None:
        # What is typed after it has closed may be for the next one, which opens in the same breath.
        after: list[InputHold] = []
        dialog.leaving = lambda: after.append(self.gate.hold())
        try:
            return await self._host.push_screen_wait(dialog)
        finally:
            for hold in after:
                self._host.call_later(self.gate.release, hold)

    def action_stop(self) -> None:
        """Stops the reply, or else takes the last waiting message back; a line that is open is only closed."""
        if self.step_dock.leave_line():
            return
        if self.stop_all():
            return
        if text := self.chat.take_back():
            self.composer.put_draft(text)
        elif self.composer.text:
            self._clear_at_second()

    def _clear_at_second(self) -> None:
        now = monotonic()
        if now - self._escaped_at_s < _TWICE_S:
            self.action_clear()
            return
        self._escaped_at_s = now
        self.announce(f"{self._keymap.label('stop')} again clears what is written.", timeout_s=_TWICE_S)

    def action_clear(self) -> None:
        """Empties the composer; undo brings the text back."""
        self._escaped_at_s = -_TWICE_S
        self.composer.call_later(self._clear)  # behind the keys that it has not handled yet

    def _clear(self) -> None:
        if self.composer.text:
            self.composer.focus()
            self.composer.clear_text()
            self.announce("Cleared. Ctrl+Z brings it back.")

    def stop_all(self) -> bool:
        """Stops the reply and gives back what waits behind it, which would begin at once; False when there is none."""
        if self.chat.running:
            self.give_back()
        return self.chat.stop()

    def give_back(self) -> bool:
        """Puts the messages in line back into the composer and says so; False when there are none."""
        n = len(self.chat.waiting)
        if n:
            self.composer.put_draft(self.chat.take_all_back())
            self.announce(
                "The queued message is in the composer." if n == 1 else f"{n} queued messages are in the composer."
            )
        return n > 0

    def action_regenerate(self) -> None:
        """Replies again to the last message, starting the engine again where it hangs or has failed.

        A reply that is being written is stopped and kept first.
        """
        if self._services.engine.stall:
            self.action_restart()
        elif self.chat.running:
            self._do(self._stop_and_regenerate())
        else:
            self._regenerate()

    async def _stop_and_regenerate(self) -> None:
        await self.chat.settle()
        self._regenerate()

    def _regenerate(self) -> None:
        if self.chat.can_regenerate():
            self.chat.regenerate()
        elif self._services.engine.state is EngineState.LOST and not self.chat.running:
            self.loads.again(self._reply_again)
        else:
            self.announce("There is no reply to write again now.")

    def action_restart(self) -> None:
        """Ends the engine and loads the model again; a reply that was being written is written again."""
        again = self._reply_again if self.chat.running else None
        self._services.engine.restart()
        self.loads.again(again)

    def _reply_again(self) -> None:
        if self.chat.can_regenerate():
            self.chat.regenerate()

    def action_new(self) -> None:
        """Begins another conversation."""
        self._do(self.conversations.new())

    def action_history(self) -> None:
        """Shows the stored conversations."""
        self._open(self.conversations.history())

    def action_rename(self) -> None:
        """Gives the conversation another title."""
        self._open(self.conversations.rename())

    def action_delete(self) -> None:
        """Deletes the conversation after a question."""
        self._open(self.conversations.delete())

    def action_undo_delete(self) -> None:
        """Brings the last deleted conversation back."""
        self._do(self.conversations.undo_delete())

    def action_model(self) -> None:
        """Chooses another model."""
        self._open(self._choose_model())

    async def _choose_model(self) -> None:
        wanted = await self.choices.model(self._services.catalogue, self._models_dir)
        if wanted is not None:
            self.loads.load(wanted, chosen=True)

    def action_preset(self) -> None:
        """Chooses another preset."""
        self._open(self.choices.preset(self._services.presets, self.refresh_state))

    def action_theme(self) -> None:
        """Chooses another theme."""
        self._open(self.choices.theme())

    def action_reload_themes(self) -> None:
        """Reads the theme files again."""
        for notice in self._wardrobe.reload() or ["Themes reloaded."]:
            self.announce(notice)

    def action_panels(self) -> None:
        """Shows or hides the panels, and remembers it."""
        hidden = not self.has_class("-no-panels")
        self.set_class(hidden, "-no-panels")
        self._services.memory.remember("panels", str(not hidden), str(self._services.settings.show_panels))
        self.call_after_refresh(self.refresh_panels)

    def action_palette(self) -> None:
        """Shows every command."""
        self._open(self._run_from_palette())

    async def _run_from_palette(self) -> None:
        chosen = await self._ask(Palette(self._keymap))
        if chosen is not None:
            action = next(command.action for command in COMMANDS if command.id == chosen)
            await self.run_action(action)

    def action_help(self, page: str = "keys", about: str = "") -> None:
        """Shows the keys and the files, how it works, or what each view is for, the one that is asked about first."""
        self._open(self._show_help(page, about))

    async def _show_help(self, page: str, about: str) -> None:
        await self.watching.recall()
        if not isinstance(self._host.screen, Help):  # the key was pressed twice before there was a help to take it
            await self._host.push_screen(Help(self._keymap, user_files(), self.watching.story(), page, about))

    def action_copy_reply(self) -> None:
        """Copies the last reply."""
        self.copy(self.transcript.last_reply(), "last reply")

    def action_copy_code(self) -> None:
        """Copies the last code block."""
        self.copy(self.transcript.last_code_block(), "last code block")

    def action_copy_conversation(self) -> None:
        """Copies the conversation as Markdown."""
        conversation = self._session.conversation
        text = as_markdown(conversation.title, self._session.branch) if conversation else ""
        self.copy(text, "conversation")

    def copy(self, text: str | None, what: str) -> None:
        """Copies a text, named `what` in the notice that says who took it."""
        if text:
            self._host.copy_to_clipboard(text)
            self._do(say_who_took(text, what, self.announce))
        else:
            self.announce(f"There is no {what} to copy.")

    def action_page_up(self) -> None:
        """Scrolls the conversation up."""
        self.transcript.action_scroll_pages(-1)

    def action_page_down(self) -> None:
        """Scrolls the conversation down."""
        self.transcript.action_scroll_pages(1)

    def action_top(self) -> None:
        """Goes to the beginning of the conversation."""
        self.transcript.action_to_start()

    def action_end(self) -> None:
        """Goes to the end of the conversation and follows it."""
        self.transcript.action_follow()
