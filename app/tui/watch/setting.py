"""What the figures of a reply do not tell: how it, or the next one, is asked for."""

from __future__ import annotations

from msgspec import Struct

from app.domain.generation import ContextPolicy
from app.domain.sampling import SamplingParams


class Setting(Struct, frozen=True):
    """Taken from the session by who shows the figures."""

    speculate: bool = False
    policy: ContextPolicy = "stop"
    sampling: SamplingParams = SamplingParams()
