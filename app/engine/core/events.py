"""Events of the loop's steps, in order; other modules turn them into text and frames."""

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
    """A sequence got its slot; `n_cached` is known."""

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
    """The stage report, if the sequence asked for it."""
    decode_ms: float = 0.0
    """Computing its logits, or the prompt for the first token; 0 for an accepted draft token."""
    sample_ms: float = 0.0
    """Choosing and measuring it."""
    ghosts: tuple[tuple[int, float], ...] = ()
    """Rejected draft tokens that it replaces, with the first one's probability."""
    thinking: bool = False
    """Whether the parameters for thinking applied."""


@dataclass(slots=True)
class Held:
    """A sequence waits before its next token."""

    sequence: Sequence
    preview: NextTokenPreview


@dataclass(slots=True)
class Shifted:
    """The window was full: `n_discarded` tokens after the first `n_kept` were forgotten."""

    sequence: Sequence
    n_kept: int
    n_discarded: int


@dataclass(slots=True)
class CellMapChanged:
    """A sequence's window changed other than by newly computed cells."""

    sequence: Sequence
    cells: tuple[CellSpan, ...]


@dataclass(slots=True)
class Blocked:
    """A sequence waits because held sequences have all slots."""

    sequence: Sequence
    held_by: tuple[int, ...]
    """Requests of the held sequences."""


@dataclass(slots=True)
class Finished:
    """A sequence ended; its slot is free."""

    sequence: Sequence


StepEvent = Started | Prefilled | Sampled | Held | Shifted | CellMapChanged | Blocked | Finished
