"""What the exit status of `tok` means. Documented in `tok --help` and the README; a script may rely on it."""

from __future__ import annotations

from enum import IntEnum

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
    """Returns the exit code that tells a script what kind of failure `error` is."""
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), ExitCode.FAILED)
