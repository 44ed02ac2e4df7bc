"""The commands that stop a reply, write it again, or take a message back."""

from __future__ import annotations

from time import monotonic

from app.client.engine import EngineState, Restartable, require, stall_of
from app.domain.conversation import Message, prompts
from app.session.send_queue import Chat
from app.tui.chat.drafts import DraftKeeper
from app.tui.chat.models import ModelLoads
from app.tui.chat.status import when_too_long
from app.tui.common.host import ChatHost
from app.tui.common.keymap import Keymap
from app.tui.step.dock import StepDock
from app.tui.widgets.composer import Composer

_TWICE_S = 3.0
"""Two presses of the stop key within this time clear the composer; the notice lasts as long."""


class Replies:
    """One per chat."""

    def __init__(
        self,
        chat: Chat,
        loads: ModelLoads,
        composer: Composer,
        drafts: DraftKeeper,
        step_dock: StepDock,
        keymap: Keymap,
        host: ChatHost,
    ) -> None:
        self._chat = chat
        self._loads = loads
        self._composer = composer
        self._drafts = drafts
        self._step_dock = step_dock
        self._stop_key = keymap.label("stop")
        self.when_too_long = when_too_long(keymap)
        """What to do about a prompt that does not fit the context window."""
        self._host = host
        self._escaped_at_s = -_TWICE_S

    def stop(self) -> None:
        """Closes an open line, else stops the reply, else takes the last queued message back."""
        if self._step_dock.leave_line() or self.stop_all():
            return
        if message := self._chat.take_back():
            self._composer.put_draft(message.text)
        elif self._composer.text:
            self._clear_at_second()

    def _clear_at_second(self) -> None:
        now = monotonic()
        if now - self._escaped_at_s < _TWICE_S:
            self.clear()
            return
        self._escaped_at_s = now
        self._host.announce(f"{self._stop_key} again clears the composer.", timeout_s=_TWICE_S)

    def clear(self) -> None:
        """Empties the composer; undo restores the text."""
        self._escaped_at_s = -_TWICE_S
        self._composer.call_later(self._clear)  # after the keys that it has not handled yet

    def _clear(self) -> None:
        if self._composer.text:
            self._composer.focus()
            self._composer.clear_text()
            self._host.announce("Cleared. Ctrl+Z brings it back.")

    def stop_all(self) -> bool:
        """Stops the reply and gives back the queued messages, which would be sent next; returns whether one ran."""
        if self._chat.running:
            self.give_back()
        return self._chat.stop()

    def give_back(self) -> bool:
        """Moves the queued messages into the composer; returns whether there were any."""
        messages = self._chat.take_all_back()
        n = len(messages)
        if n:
            self._composer.put_draft("\n".join(message.text for message in messages))
            self._host.announce(
                "The queued message is in the composer." if n == 1 else f"{n} queued messages are in the composer."
            )
        return n > 0

    def returned(self, message: Message) -> None:
        """Puts a message that got no reply back into the composer, with those queued behind it."""
        self.give_back()  # they would be sent without it
        self._composer.put_draft(message.content)
        self._composer.set_history(prompts(self._chat.session.branch))
        self._drafts.keep_now()
        self._host.refresh_state()

    def regenerate(self) -> None:
        """Writes the last reply again; stops and keeps one that is running, restarts an engine that hangs or failed."""
        if stall_of(self._chat.session.engine):
            self.restart()
        elif self._chat.running:
            self._host.run(self._stop_and_regenerate())
        else:
            self._regenerate()

    async def _stop_and_regenerate(self) -> None:
        await self._chat.settle()
        self._regenerate()

    def _regenerate(self) -> None:
        if self._chat.can_regenerate():
            self._chat.regenerate()
        elif self._chat.session.engine.state is EngineState.LOST and not self._chat.running:
            self._loads.again(self._reply_again)
        else:
            self._host.announce("There is no reply to write again.")

    def restart(self) -> None:
        """Restarts the engine and loads the model again; writes again a reply that was running."""
        again = self._reply_again if self._chat.running else None
        require(self._chat.session.engine, Restartable, "be restarted").restart()
        self._loads.again(again)

    def _reply_again(self) -> None:
        if self._chat.can_regenerate():
            self._chat.regenerate()
