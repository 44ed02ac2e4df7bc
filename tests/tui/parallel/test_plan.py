"""Which replies come at once, and how they share the screen."""

from __future__ import annotations

import pytest

from app.domain.parameters import N_SEEDS
from app.domain.sampling import Preset, SamplingParams
from app.session.active_turns import variants
from app.tui.parallel.column import Arrangement, arrange
from app.tui.parallel.plan import ParallelPlan

WARM, OWN = Preset(name="warm"), Preset(name="own", sampling=SamplingParams(seed=7))
GREEDY = Preset(name="greedy", sampling=SamplingParams(temperature=0.0))


def seeds(plan: ParallelPlan, first: int) -> list[tuple[str, int | None]]:
    return [(preset.name, preset.sampling.seed) for preset in variants(plan.presets, plan.n_replies, first)]


def test_one_preset_gets_seeds_that_follow_each_other() -> None:
    assert seeds(ParallelPlan((WARM,), 3), 41) == [("warm", 41), ("warm", 42), ("warm", 43)]
    assert seeds(ParallelPlan((WARM,), 2), N_SEEDS - 1) == [("warm", N_SEEDS - 1), ("warm", 0)]


def test_a_presets_own_seed_is_where_its_seeds_begin() -> None:
    assert seeds(ParallelPlan((OWN,), 2), 41) == [("own", 7), ("own", 8)]


def test_several_presets_take_turns_with_the_same_seed_in_each_round() -> None:
    assert seeds(ParallelPlan((WARM, OWN, GREEDY), 4), 41) == [("warm", 41), ("own", 7), ("greedy", 41), ("warm", 42)]


def test_every_preset_comes_once_at_least_and_eight_is_the_most() -> None:
    assert ParallelPlan((WARM, OWN, GREEDY), 2).n_replies == 3
    assert ParallelPlan((WARM,), 1).n_replies == 2
    assert ParallelPlan((WARM,), 20).n_replies == 8


def test_the_plan_in_words() -> None:
    assert ParallelPlan((WARM,), 4).words() == "4 replies of one preset, each with another seed"
    assert ParallelPlan((GREEDY,), 4).words() == "4 replies of one preset; greedy, so all will be the same"
    assert ParallelPlan((WARM, OWN), 2).words() == "2 replies of 2 presets"
    assert ParallelPlan((WARM, OWN), 4).words() == "4 replies of 2 presets, in turn"


@pytest.mark.parametrize(
    ("n", "width", "height", "found"),
    [
        (4, 80, 21, Arrangement(1, 1)),
        (2, 80, 21, Arrangement(1, 1)),
        (2, 100, 21, Arrangement(2, 1)),
        (4, 140, 37, Arrangement(4, 1)),
        (5, 140, 37, Arrangement(3, 2)),
        (8, 140, 37, Arrangement(4, 2)),
        (8, 140, 17, Arrangement(1, 1)),
        (8, 250, 37, Arrangement(8, 1)),
        (7, 100, 37, Arrangement(3, 3)),
    ],
)
def test_replies_stand_side_by_side_where_each_has_room(n: int, width: int, height: int, found: Arrangement) -> None:
    assert arrange(n, width, height) == found
