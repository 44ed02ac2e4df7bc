"""Several replies at once, folded from their events: text that waits to be shown, figures, ends, frames."""

from __future__ import annotations

from collections.abc import Callable

from app.analysis.meter import Phase, RunMeter
from app.domain import units
from app.domain.conversation import Message
from app.domain.sampling import Preset
from app.domain.text import one_line
from app.protocol.events import TokensGenerated
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


class ParallelReply:
    """One of the replies."""

    def __init__(self, preset: Preset) -> None:
        self.preset = preset
        self.meter = RunMeter()
        self.message: Message | None = None
        self.finished: Message | None = None
        self._pending: list[str] = []

    @property
    def title(self) -> str:
        """Which preset and seed it is."""
        seed = self.meter.seed if self.meter.seed is not None else self.preset.sampling.seed
        return f"{one_line(self.preset.name, 20)} · seed {seed}"

    @property
    def tps(self) -> float | None:
        """Its speed: now while it runs, on average in the end."""
        return self.meter.tps_average if self.meter.phase is Phase.DONE else self.meter.tps_now

    @property
    def figures(self) -> str:
        """Its speed and length, and why it ended."""
        tokens = f"{units.rate(self.tps)} · {self.meter.n_generated:,}"
        return f"{tokens} · {self.meter.finish_word}" if self.meter.finish_word else tokens

    def fold(self, event: TurnEvent) -> None:
        """Takes one event in; text waits for `take`."""
        match event:
            case ReplyStarted(message=message):
                self.message = message
            case ReplyFinished(message=message):
                self.finished = message
            case MessageStored() | MessageReturned() | StoreFailed() | PrefixRecomputed() | BranchChanged():
                pass  # they belong to all replies, and the chat shows them
            case _:
                self.meter.apply(event)
                if isinstance(event, TokensGenerated) and event.text:
                    self._pending.append(event.text)

    def take(self) -> str:
        """Returns the text that came since the last call."""
        text = "".join(self._pending)
        self._pending.clear()
        return text


def together_tps(replies: list[ParallelReply]) -> float | None:
    """Returns tokens per second of all replies together: now while any runs, in the end the average of them all.

    That is the tokens of each after its first, over the longest time that one of them took.
    """
    if any(reply.meter.phase is Phase.DECODE for reply in replies):
        return sum(reply.tps or 0.0 for reply in replies if reply.meter.phase is Phase.DECODE) or None
    longest_ms = max((reply.meter.decode_ms for reply in replies), default=0.0)
    n_tokens = sum(max(0, reply.meter.n_generated - 1) for reply in replies)
    return n_tokens / longest_ms * 1000 if longest_ms and n_tokens else None


class ParallelPump(Pump):
    """Each reply keeps its own text; `flush` shows what has come of those that are seen."""

    def __init__(self, flush: Callable[[], None], tick: Callable[[], None]) -> None:
        super().__init__(lambda _text: None, tick)
        self._flush_all = flush

    def flush(self) -> None:
        """Shows what has come, and the figures when they are due."""
        self._flush_all()
        super().flush()

    def close(self) -> None:
        """Ends the task; nothing is shown any more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
