"""Presets for several replies to one message at once. Pure but for the seed that is drawn where none is given."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from msgspec.structs import replace

from app.domain.preset import Preset
from app.domain.sampling import N_SEEDS


def variants(presets: Sequence[Preset], n: int, first_seed: int | None = None) -> list[Preset]:
    """Returns a preset for each of `n` replies: the presets in turn, each time with the next seed.

    A preset's own seed is where its seeds begin, else `first_seed` (a random one, if None) for all alike, so that
    different presets are compared on the same draws.
    """
    start = secrets.randbelow(N_SEEDS) if first_seed is None else first_seed
    made: list[Preset] = []
    for index in range(n):
        preset = presets[index % len(presets)]
        seed = start if preset.sampling.seed is None else preset.sampling.seed
        seed = (seed + index // len(presets)) % N_SEEDS
        made.append(replace(preset, sampling=replace(preset.sampling, seed=seed)))
    return made
