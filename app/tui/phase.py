"""Where a reply stands."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """From nothing asked to the end of the reply."""

    IDLE = "idle"
    QUEUED = "queued"
    PREFILL = "prefill"
    DECODE = "decode"
    PAUSED = "paused"
    """Held before its next token."""
    DONE = "done"
