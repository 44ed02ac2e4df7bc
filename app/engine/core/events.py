"""What a step of the loop reports, in the order in which it happened; text and frames are made of it elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.generation import CellSpan
from app.domain.trace import Origin
from app.engine.core.backend import StageReport
from app.engine.core.distribution import Measured
from app.engine.core.preview import NextTokenPreview
from app.engine.core.sequence import Sequence


@dataclass(slots=True)
class Started:
    """A sequence has its slot; `n_cached` is known."""

    sequence: Sequence


@dataclass(slots=True)
class Prefilled:
    """A chunk of a prompt was computed."""

    sequence: Sequence
    n_done: int
    ms: float


@dataclass(slots=True)
class Sampled:
    """A token was sampled and accepted."""

    sequence: Sequence
    token: int
    ms: float
    measured: Measured
    origin: Origin
    report: StageReport | None = None
    """What the stages did, where the sequence asked for it."""
    decode_ms: float = 0.0
    """Computing its logits, or the prompt for the first one; 0 for what a draft brought along."""
    sample_ms: float = 0.0
    """Choosing and measuring it."""
    ghosts: tuple[tuple[int, float], ...] = ()
    """Drafted tokens that it came in place of, with the first one's probability."""
    thinking: bool = False
    """Whether the set for thinking was in force."""


@dataclass(slots=True)
class Held:
    """A sequence waits before its next token."""

    sequence: Sequence
    prospect: NextTokenPreview


@dataclass(slots=True)
class Shifted:
    """The window was full: `n_discarded` tokens after the first `n_kept` were forgotten."""

    sequence: Sequence
    n_kept: int
    n_discarded: int


@dataclass(slots=True)
class CellMapChanged:
    """The account of a sequence's window has changed by more than new cells of its own."""

    sequence: Sequence
    cells: tuple[CellSpan, ...]


@dataclass(slots=True)
class Blocked:
    """A sequence waits for a slot, and all of them are those of held sequences."""

    sequence: Sequence
    held_by: tuple[int, ...]
    """The requests of the held ones."""


@dataclass(slots=True)
class Finished:
    """A sequence has ended; its slot is free for others."""

    sequence: Sequence


StepEvent = Started | Prefilled | Sampled | Held | Shifted | CellMapChanged | Blocked | Finished
