"""Shows one turn: folds the session's events into the transcript and the meter."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from app.analysis.finish import left_out
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
from app.session.session import Session
from app.tui.chat.other_windows import OtherWindows
from app.tui.chat.replies import Replies
from app.tui.common.frame_rate import Pump
from app.tui.common.host import ChatHost
from app.tui.step.control import StepControl
from app.tui.transcript.notes import end_note, failed, loss, waits
from app.tui.transcript.widget import Transcript


class TurnRunner:
    """Shows turns, one at a time."""

    def __init__(
        self,
        session: Session,
        transcript: Transcript,
        meter: RunMeter,
        replies: Replies,
        step: StepControl,
        others: OtherWindows,
        host: ChatHost,
    ) -> None:
        self._session = session
        self._transcript = transcript
        self._meter = meter
        self._replies = replies
        self._step = step
        self._others = others
        self._host = host
        self.pump = Pump(transcript.append, host.refresh_panels, meter.screen)
        self._again = False
        self._replying = False
        self._failure = ("", "")
        """Why the request ended before it began, and what to do."""
        self._begun: Message | None = None
        self._notices: tuple[str, ...] = ()
        """Notices of the last request, which are not repeated."""

    async def run(self, events: AsyncGenerator[TurnEvent], again: bool = False) -> None:
        """Shows `events` to their end; errors appear in the transcript and are not raised.

        `again`: the message or the reply replaces what is on the screen from its place on, as soon as it begins.
        """
        self._again = again
        self._replying = False
        self._failure = ("", "")
        self._meter.queued()
        self.pump.start()
        try:
            async with aclosing(events) as stream:
                async for event in stream:
                    self._fold(event)
        except TokscopeError as error:
            self.pump.flush()
            self._warn(str(error), error.hint)
        finally:
            self.pump.stop()

    def _fold(self, event: TurnEvent) -> None:
        match event:
            case MessageStored(message=message):
                if self._again:
                    self._transcript.show(self._session.branch)
                else:
                    self._transcript.add(message)
                self._host.refresh_state()
            case MessageReturned(message=message):
                self._take_back(message)
            case ReplyStarted(message=message):
                self._replying = True
                if self._again:
                    self._transcript.show(self._session.branch[:-1])
                self._begun = message  # shown below the notices that come with the next event
            case ReplyFinished(message=message):
                self._replying = False
                self.pump.flush()
                self._show_begun()
                self._transcript.thinking = message.thinking
                self._transcript.finish_reply(end_note(message), failed=failed(message))
            case BranchChanged():
                self._others.take_up(event)
            case PrefixRecomputed():
                pass  # the fork announces it
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
                self._show_begun()
            case TokensGenerated(text=text, thinking=thinking):
                self._transcript.thinking = thinking
                self.pump.push(text)
            case Paused():
                self.pump.flush()
                self._step.paused(event)
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

    def _show_begun(self) -> None:
        if self._begun is not None:
            self._transcript.begin_reply(self._begun)
            self._begun = None

    def _report_refusal(self, event: GenerationFinished) -> None:
        # The note under a reply says it; a request that never began has no reply.
        if event.error and not self._replying:
            too_long = event.finish_reason is FinishReason.CONTEXT
            self._refused(event.error, event.hint or (self._replies.when_too_long if too_long else ""))

    def _refused(self, reason: str, hint: str) -> None:
        self._failure = (reason, hint)
        self._warn(reason, hint)

    def _take_back(self, message: Message) -> None:
        reason, hint = self._failure
        self._replies.returned(message)
        self._transcript.show(self._session.branch)
        back = "What you wrote is back in the composer."
        self._warn(f"{reason.rstrip('.')}. {back}" if reason else back, hint)

    def _warn(self, reason: str, hint: str) -> None:
        self._transcript.notice("\n".join(filter(None, (reason, hint))), failed=True)
