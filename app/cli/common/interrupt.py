"""What happens beside an answer: Ctrl-C and other signals that end it, and an engine that hangs."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from app.cli.common import console
from app.cli.common.exit_codes import EXIT_CODES, EndedBySignal, ExitCode, is_ignored
from app.client.engine import Engine, stall_of

_LOOK_S = 0.5


async def report_stalls(engine: Engine) -> None:
    """Looks at the engine until it is cancelled."""
    stalled = False
    while True:
        await asyncio.sleep(_LOOK_S)
        stall = stall_of(engine)
        if stall and not stalled:
            what = "made no progress" if stall.answers else "not answered"
            console.print_error(f"the engine has {what} for {stall.seconds:.0f} s", "waiting; press Ctrl-C to end it")
        elif stalled and not stall:
            console.print_stderr("tok: the engine answers again")
        stalled = stall is not None


class Interrupt:
    """A context manager around one answer; must be entered in the task that runs it.

    Attributes:
        signal: the first signal that came; None until then.
        stop: ends the request in a friendly way; None while there is none, and a signal cancels the task instead.
    """

    def __init__(self, engine: Engine) -> None:
        self.signal: signal.Signals | None = None
        self.stop: Callable[[], None] | None = None
        self._engine = engine
        self._before: dict[signal.Signals, object] = {}
        """The handlers that were there, which asyncio forgets."""

    @property
    def requested(self) -> bool:
        """Whether a signal came."""
        return self.signal is not None

    @property
    def exit_code(self) -> ExitCode:
        """That of the signal that came."""
        return EXIT_CODES[self.signal or signal.SIGINT]

    @property
    def ended(self) -> EndedBySignal:
        """The signal that came, to be raised."""
        return EndedBySignal(self.signal or signal.SIGINT)

    def __enter__(self) -> Interrupt:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._watch = asyncio.create_task(report_stalls(self._engine))
        for number in EXIT_CODES:
            try:
                if not is_ignored(number):
                    before = signal.getsignal(number)
                    self._loop.add_signal_handler(number, self._on_signal, number)
                    self._before[number] = before
            except (NotImplementedError, RuntimeError, ValueError):
                break  # not on this platform or thread: asyncio's own KeyboardInterrupt remains
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.cancel()
        for number, handler in self._before.items():
            self._loop.remove_signal_handler(number)
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType] signal.getsignal() returned it

    def _on_signal(self, number: signal.Signals) -> None:
        first, self.signal = self.signal is None, self.signal or number
        if first and self.stop is not None:
            self.stop()
        elif self._task is not None:
            self._task.cancel()


@asynccontextmanager
async def running(engine: Engine) -> AsyncGenerator[Interrupt]:
    """Runs the block with an engine that is closed after it; a signal leaves the block without an exception.

    What follows the block asks `Interrupt.requested`, or raises `Interrupt.ended` where the block returns.
    """
    try:
        with Interrupt(engine) as interrupt:
            try:
                yield interrupt
            except asyncio.CancelledError:
                if not interrupt.requested:
                    raise
    finally:
        await engine.close()
