"""Presets for several replies to one message at once. Pure but for the seed that is drawn where none is given."""

from __future__ import annotations

import secrets

from msgspec.structs import replace

from app.domain.preset import Preset
from app.domain.sampling import N_SEEDS


def seeded(preset: Preset, n: int) -> list[Preset]:
    """Returns the preset `n` times, its seeds following each other from its own, or from a random one."""
    sampling = preset.sampling
    first = secrets.randbelow(N_SEEDS) if sampling.seed is None else sampling.seed
    return [replace(preset, sampling=replace(sampling, seed=(first + index) % N_SEEDS)) for index in range(n)]
