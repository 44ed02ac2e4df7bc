"""The what-if on stored candidates: exact figures, and `exact` only where nothing that is not stored can matter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from app.analysis.chain import Truth, computed, intervals, recorded
from app.analysis.what_if import lowering
from app.domain.sampling import SamplingParams
from app.domain.trace import Draw, Origin, StageTrace, TokenTrace, TopToken
from tests.fakes.engine_events import make_token

N_VOCAB = 1000
P = (0.5, 0.25, 0.125, 0.0625)
PLAIN = SamplingParams(temperature=1.0, top_k=3, top_p=1.0, min_p=0.0)


def near(found: Sequence[float], expected: Sequence[float]) -> bool:
    return all(math.isclose(a, b, abs_tol=1e-9) for a, b in zip(found, expected, strict=True))


def stage(name: str, n_in: int, n_out: int, *p: float) -> StageTrace:
    return StageTrace(name, n_in, n_out, p)


def token(**changes: Any) -> TokenTrace:
    """Four candidates, ids 11 to 14, of which top-k 3 left 4/7, 2/7, 1/7, and the draw fell on the second."""
    top = tuple(TopToken(11 + i, f" t{i}", p) for i, p in enumerate(P))
    left = (4 / 7, 2 / 7, 1 / 7, 0.0)
    made = replace(
        make_token(" t1", rank=2),
        id=12,
        top=top,
        stages=(
            stage("top-k", N_VOCAB, 3, *left),
            stage("temperature", 3, 3, *left),
            stage("dist", 3, 3, *left),
        ),
        draw=Draw(0.6, 4 / 7, 6 / 7),
    )
    return replace(made, **changes)


def test_the_recorded_chain_is_reported_as_it_was() -> None:
    chain = recorded(token())
    assert chain is not None
    assert [(step.name, step.n_in, step.n_out) for step in chain.steps] == [
        ("top-k", (1000, 1000), (3, 3)),
        ("temperature", (3, 3), (3, 3)),
        ("dist", (3, 3), (3, 3)),
    ]
    assert [chain.cut_by(i) for i in range(4)] == ["", "", "", "top-k"]
    assert (chain.truth, chain.u, chain.pick, chain.order) == (Truth.RECORDED, 0.6, 1, (0, 1, 2))
    assert recorded(token(stages=())) is None


def test_the_chain_that_ran_is_computed_exactly() -> None:
    chain = computed(token(), PLAIN, PLAIN)
    assert chain is not None
    assert (chain.truth, chain.why, chain.pick) == (Truth.EXACT, "", 1)
    assert near(chain.p, (4 / 7, 2 / 7, 1 / 7, 0.0))
    assert next(step.n_in for step in chain.steps) == (math.inf, math.inf)


@pytest.mark.parametrize(
    ("changes", "p", "pick"),
    [
        # The random number is 0.6 throughout.
        ({"temperature": 0.5}, (16 / 21, 4 / 21, 1 / 21, 0.0), 0),
        ({"temperature": 2.0}, None, 1),
        ({"temperature": 0.0}, None, 0),
        ({"top_k": 1}, (1.0, 0.0, 0.0, 0.0), 0),
        ({"top_k": 2}, (2 / 3, 1 / 3, 0.0, 0.0), 0),
        ({"top_k": 4}, (8 / 15, 4 / 15, 2 / 15, 1 / 15), 1),
        ({"min_p": 0.3}, (2 / 3, 1 / 3, 0.0, 0.0), 0),
        ({"top_p": 0.57}, (1.0, 0.0, 0.0, 0.0), 0),
        ({"top_p": 0.58}, (2 / 3, 1 / 3, 0.0, 0.0), 0),
        # Without top-k, the four stored ones hold 15/16 of everything.
        ({"top_k": 0, "top_p": 0.7}, (2 / 3, 1 / 3, 0.0, 0.0), 0),
        ({"top_k": 0, "top_p": 0.93}, (8 / 15, 4 / 15, 2 / 15, 1 / 15), 1),
        ({"top_k": 0, "min_p": 0.2}, (4 / 7, 2 / 7, 1 / 7, 0.0), 1),
        # Nothing can tell how many of 40 pass, but none of those that are not stored passes min-p.
        ({"top_k": 40, "top_p": 0.99, "min_p": 0.2}, (4 / 7, 2 / 7, 1 / 7, 0.0), 1),
    ],
)
def test_what_if_is_exact(changes: dict[str, Any], p: tuple[float, ...] | None, pick: int) -> None:
    chain = computed(token(), PLAIN, replace(PLAIN, **changes))
    assert chain is not None
    assert (chain.truth, chain.why) == (Truth.EXACT, "")
    if p is not None:
        assert near(chain.p, p)
    assert chain.pick == pick


@pytest.mark.parametrize(
    ("changes", "token_changes", "why"),
    [
        ({"top_k": 5}, {}, "only 4 tokens are stored; others may survive"),
        ({"top_k": 0}, {}, "only 4 tokens are stored; others may survive"),
        ({"top_k": 0, "top_p": 0.95}, {}, "only 4 tokens are stored; others may survive"),
        ({"top_k": 0, "min_p": 0.1}, {}, "only 4 tokens are stored; others may survive"),
        ({"top_k": 0, "min_p": 0.125}, {}, "only 4 tokens are stored; others may survive"),
        ({"top_k": 2}, {"stages": (), "id": 13}, "its own chain gives another result"),
        ({"top_k": 2}, {"origin": Origin.FORCED}, "this token was forced"),
        ({"top_k": 2}, {"origin": Origin.GRAMMAR}, "the grammar excluded the most likely token"),
        ({"top_k": 2}, {"draw": Draw(2 / 3, 0.5, 1.0)}, "the draw falls on the boundary between two tokens"),
        ({"top_k": 2}, {"id": 13}, "the recorded stages give another result"),
    ],
)
def test_what_is_not_proven_is_approximate(changes: dict[str, Any], token_changes: dict[str, Any], why: str) -> None:
    chain = computed(token(**token_changes), PLAIN, replace(PLAIN, **changes))
    assert chain is not None
    assert (chain.truth, chain.why) == (Truth.APPROXIMATE, why)


def test_mirostat_leaves_out_the_penalties_at_temperature_0_too() -> None:
    penal = replace(PLAIN, repeat_penalty=1.1, dry_multiplier=0.8, temperature=0)
    assert lowering(penal) == ["penalties", "dry"]
    assert lowering(replace(penal, mirostat=2)) == []


@pytest.mark.parametrize(
    ("params", "why"),
    [
        (replace(PLAIN, typical_p=0.9), "not computed here: typical"),
        (replace(PLAIN, xtc_probability=0.5, ban=("#3",)), "not computed here: logit-bias, xtc"),
        (replace(PLAIN, mirostat=2), "not computed here: mirostat"),
        (replace(PLAIN, dynatemp_range=0.5), "not computed here: dynamic temperature"),
        (replace(PLAIN, adaptive_target=0.5), "not computed here: adaptive-p"),
        (replace(PLAIN, grammar="root ::= x"), "not computed here: the grammar"),
        (replace(PLAIN, repeat_penalty=1.1), "not computed here: penalties"),
    ],
)
def test_stages_that_are_not_computed_are_named(params: SamplingParams, why: str) -> None:
    chain = computed(token(), params, params)
    assert chain is not None
    assert (chain.truth, chain.why) == (Truth.APPROXIMATE, why)


def test_equal_candidates_at_the_cut_are_approximate() -> None:
    top = tuple(TopToken(11 + i, f" t{i}", 0.25) for i in range(3))
    chain = computed(token(top=top, stages=()), PLAIN, replace(PLAIN, top_k=2))
    assert chain is not None
    assert chain.truth is Truth.APPROXIMATE


PENALISED = replace(PLAIN, repeat_penalty=2.0)
AFTER = (0.15, 0.4, 0.2, 0.1)
"""The first was penalised: the others, unmoved, take 1.6 times as much."""


def penalised() -> TokenTrace:
    left = (3 / 15, 8 / 15, 4 / 15, 0.0)
    stages = (
        stage("penalties", N_VOCAB, N_VOCAB, *AFTER),
        stage("top-k", N_VOCAB, 3, *left),
        stage("temperature", 3, 3, *left),
        stage("dist", 3, 3, *left),
    )
    return token(stages=stages, draw=Draw(0.2, 0.0, 8 / 15))


def test_penalties_are_taken_from_the_record() -> None:
    # What is not stored can have grown 1.6 times at most, to 0.1: no more than the fourth.
    chain = computed(penalised(), PENALISED, replace(PENALISED, top_k=2), ids=[11])
    assert chain is not None
    assert [step.name for step in chain.steps] == ["penalties", "top-k", "temperature", "dist"]
    assert near(chain.p, (0.0, 2 / 3, 1 / 3, 0.0))
    assert (chain.truth, chain.why, chain.pick, chain.order) == (Truth.EXACT, "", 1, (1, 2))


@pytest.mark.parametrize(
    ("ids", "why"),
    [
        ((), "the prompt's tokens were not stored, so the penalties are unknown"),
        ((11, 12, 13, 14), "every stored token may have been penalised"),
    ],
)
def test_penalties_that_cannot_be_known_are_approximate(ids: tuple[int, ...], why: str) -> None:
    chain = computed(penalised(), PENALISED, PENALISED, ids)
    assert chain is not None
    assert (chain.truth, chain.why) == (Truth.APPROXIMATE, why)


def unrecorded(**changes: Any) -> TokenTrace:
    return token(stages=(), draw=None, **changes)


def test_without_a_record_the_chain_is_exact_by_the_number_that_the_seed_gives() -> None:
    chain = computed(unrecorded(), PLAIN, PLAIN, u=0.6)
    assert chain is not None
    assert (chain.truth, chain.why, chain.u, chain.pick) == (Truth.EXACT, "", 0.6, 1)
    assert [step.name for step in chain.steps] == ["top-k", "temperature", "dist"]
    elsewhere = computed(unrecorded(), PLAIN, PLAIN, u=0.1)
    assert elsewhere is not None
    assert (elsewhere.truth, elsewhere.why) == (Truth.APPROXIMATE, "its own chain gives another result")
    unknown = computed(unrecorded(), PLAIN, PLAIN)
    assert unknown is not None
    assert (unknown.truth, unknown.u, unknown.pick) == (Truth.EXACT, None, None)


def test_penalties_are_computed_from_the_ids_before() -> None:
    # Logits: ln 2p, so that 11 stands at 0 and the others below. Twice 11 and once 13 in the last three.
    log_total = -math.log(0.5)
    params = replace(PLAIN, repeat_penalty=2.0, frequency_penalty=0.5, presence_penalty=0.25, penalty_last_n=3)
    weights = (0.5 * math.exp(-1.25), 0.25, 0.5 * math.exp(2 * math.log(0.25) - 0.75), 0.0625)
    chain = computed(unrecorded(log_total=log_total), params, params, [13, 11, 11, 13])
    assert chain is not None
    assert (chain.truth, chain.why) == (Truth.EXACT, "")
    assert [step.name for step in chain.steps] == ["penalties", "top-k", "temperature", "dist"]
    # The last of the four that are stored bounds all that are not: three are certain, and top-k keeps three.
    kept = (weights[0], weights[1], 0.0, weights[3])
    assert near(chain.p, tuple(weight / math.fsum(kept) for weight in kept))


def test_penalties_of_an_old_trace_without_its_logits_are_not_computed() -> None:
    params = replace(PLAIN, repeat_penalty=2.0)
    chain = computed(unrecorded(), params, params, [11])
    assert chain is not None
    assert (chain.truth, chain.why) == (Truth.APPROXIMATE, "not computed here: penalties")
    raising = replace(PLAIN, presence_penalty=-1.0)
    chain = computed(unrecorded(), raising, raising, [11])
    assert chain is not None
    assert chain.why == "the penalties may raise tokens that are not stored"


def test_the_draw_goes_by_id_where_nothing_sorts() -> None:
    top = (TopToken(30, "a", 0.6), TopToken(10, "b", 0.3), TopToken(20, "c", 0.0001))
    p = (2 / 3, 1 / 3, 0.0)
    stages = (stage("min-p", N_VOCAB, 2, *p), stage("temperature", 2, 2, *p), stage("dist", 2, 2, *p))
    params = SamplingParams(temperature=1.0, top_k=0, top_p=1.0, min_p=0.4)
    chain = computed(token(id=10, top=top, stages=stages, draw=Draw(0.2, 0.0, 1 / 3)), params, params)
    assert chain is not None
    assert (chain.truth, chain.order, chain.pick) == (Truth.EXACT, (1, 0), 1)
    (first, low, middle), (second, again, high) = intervals(chain.order, chain.p)
    assert (first, second) == (1, 0)
    assert near((low, middle, again, high), (0.0, 1 / 3, 1 / 3, 1.0))


def test_greedy_takes_the_most_likely() -> None:
    greedy = SamplingParams(temperature=0.0)
    stages = (stage("greedy", N_VOCAB, N_VOCAB, *P),)
    chain = computed(token(id=11, stages=stages, draw=None), greedy, greedy)
    assert chain is not None
    assert (chain.truth, chain.pick, chain.u) == (Truth.EXACT, 0, None)
    warmer = computed(token(id=11, stages=stages, draw=None), greedy, replace(PLAIN, top_k=2))
    assert warmer is not None
    assert (warmer.truth, warmer.pick) == (Truth.EXACT, None)


def test_without_candidates_there_is_nothing() -> None:
    assert computed(token(top=()), PLAIN, PLAIN) is None
