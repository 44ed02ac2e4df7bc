"""SIGTERM and SIGHUP end a command as Ctrl-C does: what it began is tidied up, and the exit code names the signal."""

from __future__ import annotations

import signal
from types import FrameType

from app.cli.exit_codes import ExitCode

EXIT_CODES = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED} | (
    {signal.SIGHUP: ExitCode.HUNG_UP} if hasattr(signal, "SIGHUP") else {}
)
"""Of each signal that ends a command."""


class EndedBySignal(BaseException):
    """The command is to end. No KeyboardInterrupt, which typer would make a bare exit code of."""

    def __init__(self, number: signal.Signals) -> None:
        self.number = number
        super().__init__("interrupted" if number is signal.SIGINT else f"ended by {number.name}")


def is_ignored(number: signal.Signals) -> bool:
    """Whether who started the command wants it to outlive a signal, as `nohup` does."""
    return signal.getsignal(number) is signal.SIG_IGN


def raise_when_signalled() -> None:
    """Lets each of these signals raise `EndedBySignal`. Call it in the main thread."""
    for number in EXIT_CODES:
        if not is_ignored(number):
            signal.signal(number, _raise)


def _raise(number: int, _frame: FrameType | None) -> None:
    raise EndedBySignal(signal.Signals(number))
