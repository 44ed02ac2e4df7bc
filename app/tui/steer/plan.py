"""Which replies are written at once: how many, with which presets. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.sampling import Preset

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
