"""Runs one turn: folds the session's events into transcript and meter, and brings text to the screen in frames."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from app.analysis.meter import RunMeter
from app.domain.conversation import Message
from app.domain.errors import TokscopeError
from app.domain.generation import FinishReason
from app.domain.text import one_line
from app.protocol.events import (
    ContextTrimmed,
    EngineLost,
    GenerationEvent,
    GenerationFinished,
    GenerationStarted,
    Paused,
    SlotsHeld,
    TokensGenerated,
)
from app.session.events import (
    BranchChanged,
    MessageReturned,
    MessageStored,
    PrefixRecomputed,
    ReplyFinished,
    ReplyStarted,
    StoreFailed,
    TurnEvent,
)
from app.tui.common.frame_rate import Pump
from app.tui.transcript.notes import end_note, failed, left_out, loss, waits
from app.tui.transcript.widget import Transcript


@dataclass(frozen=True)
class Listener:
    """Who hears of what a turn does beside its reply."""

    stored: Callable[[], None]
    """The user's message is kept."""
    returned: Callable[[Message], None]
    """The user's message that nothing answers; the notice that it came back is shown after this."""
    paused: Callable[[Paused], None] = lambda event: None
    """A reply is held; its text so far is shown."""


class TurnRunner:
    """Shows turns, one at a time.

    Attributes:
        show_change: shows what another program did to the conversation.
    """

    def __init__(
        self,
        transcript: Transcript,
        meter: RunMeter,
        pump: Pump,
        branch: Callable[[], Sequence[Message]],
        when_too_long: str,
        listener: Listener,
    ) -> None:
        """`branch` tells the messages of the conversation, `when_too_long` what to do when a prompt does not fit."""
        self._transcript = transcript
        self._meter = meter
        self._pump = pump
        self._branch = branch
        self._when_too_long = when_too_long
        self._listener = listener
        self.show_change: Callable[[BranchChanged], None] = lambda change: None
        self._again = False
        self._replying = False
        self._failure = ("", "")
        """Why the request ended before it began, and what to do."""
        self._begun: Message | None = None
        self._notices: tuple[str, ...] = ()
        """Those of the last request: the next one has mostly the same."""

    async def run(self, events: AsyncGenerator[TurnEvent], again: bool = False) -> None:
        """Follows `events` to their end. What goes wrong is told in the transcript, never raised.

        With `again` the reply takes the place of the last one, which is left alone until the new one begins.
        """
        self._again = again
        self._replying = False
        self._failure = ("", "")
        self._meter.queued()
        self._pump.start()
        try:
            async with aclosing(events) as stream:
                async for event in stream:
                    self._fold(event)
        except TokscopeError as error:
            self._pump.flush()
            self._warn(str(error), error.hint)
        finally:
            self._pump.stop()

    def _fold(self, event: TurnEvent) -> None:
        match event:
            case MessageStored(message=message):
                self._transcript.add(message)
                self._listener.stored()
            case MessageReturned(message=message):
                self._take_back(message)
            case ReplyStarted(message=message):
                self._replying = True
                if self._again:
                    self._transcript.show(self._branch()[:-1])
                self._begun = message  # shown below the notices that come with the next event
            case ReplyFinished(message=message):
                self._replying = False
                self._pump.flush()
                self._transcript.finish_reply(end_note(message), failed=failed(message))
            case BranchChanged():
                self.show_change(event)
            case PrefixRecomputed():
                pass  # told by what asked for the fork
            case StoreFailed(message=reason, hint=hint):
                self._warn(f"Not saved: {reason}", hint)
            case _:
                self._meter.apply(event)
                self._follow(event)

    def _follow(self, event: GenerationEvent) -> None:
        match event:
            case GenerationStarted(notices=notices):
                for notice in (each for each in notices if each not in self._notices):
                    self._transcript.notice(one_line(notice))
                self._notices = notices
                if self._begun is not None:
                    self._transcript.begin_reply(self._begun)
                    self._begun = None
            case TokensGenerated(text=text):
                self._pump.push(text)
            case Paused():
                self._pump.flush()
                self._listener.paused(event)
            case EngineLost():
                self._refused(*loss(event))
            case SlotsHeld():
                self._transcript.notice(waits(event))
            case ContextTrimmed():
                self._transcript.notice(f"The context window is full: {left_out(event.n_messages, event.n_tokens)}")
            case GenerationFinished():
                self._report_refusal(event)
            case _:
                pass

    def _report_refusal(self, event: GenerationFinished) -> None:
        # Beside a reply its note tells; a request that never began has none.
        if event.error and not self._replying:
            too_long = event.finish_reason is FinishReason.CONTEXT
            self._refused(event.error, event.hint or (self._when_too_long if too_long else ""))

    def _refused(self, reason: str, hint: str) -> None:
        self._failure = (reason, hint)
        self._warn(reason, hint)

    def _take_back(self, message: Message) -> None:
        reason, hint = self._failure
        self._listener.returned(message)
        self._transcript.show(self._branch())
        back = "What you wrote is back in the composer."
        self._warn(f"{reason.rstrip('.')}. {back}" if reason else back, hint)

    def _warn(self, reason: str, hint: str) -> None:
        self._transcript.notice("\n".join(filter(None, (reason, hint))), failed=True)
