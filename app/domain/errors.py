"""Errors shown to the user. Each says what failed and, in `hint`, what to do next.

Knows nothing of exit codes or widgets: `app.cli` and `app.tui` decide how an error is shown.
"""

from __future__ import annotations


class TokscopeError(Exception):
    """Base of every expected failure.

    Attributes:
        hint: what the user can do next; empty when there is nothing useful to say.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    @property
    def full_message(self) -> str:
        """The message, and the hint on its own line."""
        return "\n".join(filter(None, (str(self), self.hint)))


class UsageError(TokscopeError):
    """The command line is invalid."""


class ConfigError(TokscopeError):
    """A configuration file, preset, theme or catalogue entry is wrong."""


class ModelError(TokscopeError):
    """A model is missing, unreadable or refused by the engine."""


class EngineLostError(TokscopeError):
    """The engine worker died or broke the protocol while it was needed."""


class GenerationError(TokscopeError):
    """The engine refused or failed one request; it can still serve others."""


class ForkError(TokscopeError):
    """A reply cannot be forked at the requested token."""


class StoreError(TokscopeError):
    """The conversation database cannot be opened, read or written."""


class GoneError(StoreError):
    """A conversation or message is no longer in the database; the database itself works."""
