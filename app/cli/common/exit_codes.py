"""What the exit status of `tok` means, and the signals that end a command with one."""

from __future__ import annotations

import signal
from enum import IntEnum
from types import FrameType

from app.domain.errors import ConfigError, EngineLostError, ModelError, TokscopeError, UsageError


class ExitCode(IntEnum):
    """The exit statuses, all of them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    CONFIG = 3
    MODEL = 4
    ENGINE_LOST = 5
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


EPILOG = (
    "Exit codes: 0 ok, 1 failed, 2 usage, 3 configuration, 4 model missing or unreadable, "
    "5 engine lost, 130 interrupted, 129 and 143 ended by SIGHUP and SIGTERM."
)

_BY_ERROR: tuple[tuple[type[TokscopeError], ExitCode], ...] = (
    (UsageError, ExitCode.USAGE),
    (ConfigError, ExitCode.CONFIG),
    (ModelError, ExitCode.MODEL),
    (EngineLostError, ExitCode.ENGINE_LOST),
)


def exit_code_of(error: TokscopeError) -> ExitCode:
    """Returns the exit code for the kind of failure that `error` is."""
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), ExitCode.FAILED)


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
