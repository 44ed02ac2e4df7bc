"""A preset: named sampling parameters with a system prompt and, if wished, a model."""

from __future__ import annotations

from msgspec import Struct

from app.domain.generation import ContextPolicy
from app.domain.sampling import SamplingParams


class Preset(Struct, frozen=True, kw_only=True):
    """What `-p NAME` selects."""

    name: str
    description: str = ""
    system: str | None = None
    """System prompt; None sends none."""
    model: str | None = None
    """Catalogue name that the preset is meant for; None leaves the choice to the user."""
    sampling: SamplingParams = SamplingParams()
    context: ContextPolicy = "stop"
    """What happens when the conversation outgrows the context window."""
