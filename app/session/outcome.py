"""How a reply ended: the state of its message and the record kept beside it. Pure."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from app.domain.conversation import GenerationRecord, ReplyState
from app.domain.generation import FinishReason, Usage
from app.protocol.events import ContextShifted, ContextTrimmed, EngineLost, GenerationFinished, GenerationStarted

_STATES = {
    FinishReason.STOP: ReplyState.DONE,
    FinishReason.LENGTH: ReplyState.DONE,
    FinishReason.CONTEXT: ReplyState.DONE,
    FinishReason.ABORT: ReplyState.STOPPED,
    FinishReason.ERROR: ReplyState.FAILED,
}


class Closed(Struct, frozen=True):
    """The end of a stream whose consumer went away before its last event."""


class Losses(Struct):
    """What of the conversation the model did not see, as the fields of `GenerationRecord` count it."""

    n_dropped_messages: int = 0
    n_dropped_tokens: int = 0
    n_shifted_tokens: int = 0

    def add(self, event: ContextTrimmed | ContextShifted) -> None:
        """Counts one event."""
        if isinstance(event, ContextTrimmed):
            self.n_dropped_messages, self.n_dropped_tokens = event.n_messages, event.n_tokens
        else:
            self.n_shifted_tokens += event.n_discarded


End = GenerationFinished | EngineLost | Closed


def outcome(
    end: End | None, *, started: GenerationStarted, n_generated: int, losses: Losses, model: str, preset: str
) -> tuple[ReplyState, GenerationRecord]:
    """What to keep of a reply. `end` is None when its stream broke off without a word.

    Where the engine could not report, the counts are those of the events that came, and the times are 0.
    """
    if isinstance(end, GenerationFinished):
        record = GenerationRecord(
            model=model,
            preset=preset,
            seed=started.seed,
            finish_reason=end.finish_reason,
            stop=end.stop,
            usage=end.usage,
            timings=end.timings,
            error=end.error,
            incomplete=end.incomplete,
            **msgspec.structs.asdict(losses),
        )
        return _STATES[end.finish_reason], record
    wished = isinstance(end, Closed) or (isinstance(end, EngineLost) and end.wished)
    record = GenerationRecord(
        model=model,
        preset=preset,
        seed=started.seed,
        finish_reason=FinishReason.ABORT if wished else FinishReason.ERROR,
        usage=Usage(started.n_prompt, started.n_cached, n_generated),
        error=end.reason if isinstance(end, EngineLost) and not wished else "",
        **msgspec.structs.asdict(losses),
    )
    return ReplyState.STOPPED if wished else ReplyState.INTERRUPTED, record
