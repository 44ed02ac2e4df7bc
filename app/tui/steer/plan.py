"""Which replies are written at once: how many, with which presets and seeds. Pure, but for the first random seed."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from msgspec.structs import replace

from app.domain.preset import Preset
from app.domain.sampling import N_SEEDS

MIN_BRANCHES, MAX_BRANCHES = 2, 8


@dataclass(frozen=True)
class Plan:
    """What the user asked for."""

    presets: tuple[Preset, ...]
    n: int

    @property
    def n_branches(self) -> int:
        """How many replies: every preset at least once, never fewer than two."""
        return min(MAX_BRANCHES, max(self.n, len(self.presets), MIN_BRANCHES))

    def words(self) -> str:
        """Returns the plan in words."""
        n, k = self.n_branches, len(self.presets)
        if k == 1:
            greedy = self.presets[0].sampling.temperature == 0
            return f"{n} replies of one preset" + (
                "; greedy, so that they will all be the same" if greedy else ", each with a seed of its own"
            )
        return f"{n} replies of {k} presets" + (", in turn" if n > k else "")


def variants(plan: Plan, first_seed: int | None = None) -> list[Preset]:
    """Returns a preset for each reply: the presets in turn, each time with the next seed.

    A preset's own seed is where its seeds begin, else `first_seed` (a random one, if None) for all alike, so that
    different presets are compared on the same draws.
    """
    start = secrets.randbelow(N_SEEDS) if first_seed is None else first_seed
    made: list[Preset] = []
    for index in range(plan.n_branches):
        preset = plan.presets[index % len(plan.presets)]
        seed = start if preset.sampling.seed is None else preset.sampling.seed
        seed = (seed + index // len(plan.presets)) % N_SEEDS
        made.append(replace(preset, sampling=replace(preset.sampling, seed=seed)))
    return made
