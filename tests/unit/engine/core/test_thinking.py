"""The second sampling set: where the block begins and ends, which chain chooses, and what each has seen."""

from __future__ import annotations

import pytest

from app.domain.generation import FinishReason
from app.domain.sampling import SamplingParams
from app.domain.trace import Origin
from app.engine.core.backend import ComputeError
from app.engine.core.events import Sampled
from app.engine.core.scheduler import Scheduler
from app.engine.core.sequence import Sequence
from app.engine.core.thinking import ThinkingBlock
from tests.fakes.toy_native import ToyBackend, ToySampler

OPEN, CLOSE = 11, 12
PIECES = [b"."] * 11 + [b"<think>", b"</think>", b"<th", b"ink>a", b"x<think></think>y"]
MARKS = (b"<think>", b"</think>")
SETS = SamplingParams(max_tokens=8, seed=5, thinking={"temperature": 1.5})


def block(*, inside: bool = False) -> ThinkingBlock:
    return ThinkingBlock(MARKS, PIECES, inside=inside)


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ([1, OPEN, 2, CLOSE, 3], [False, True, True, False, False]),
        ([13, 14, 2, CLOSE], [False, True, True, False]),
        ([13, 2, 14], [False, False, False]),
        ([15, OPEN], [False, True]),
        ([CLOSE, OPEN, OPEN, CLOSE], [False, True, True, False]),
    ],
)
def test_marks_are_found_in_bytes(tokens: list[int], expected: list[bool]) -> None:
    found: list[bool] = []
    where = block()
    for token in tokens:
        where.push(token)
        found.append(where.inside)
    assert found == expected


class _Strict(ToySampler):
    """With a grammar it allows neither mark, unless that names them."""

    def force(self, token: int) -> None:
        if token in (OPEN, CLOSE, 13, 14) and self.params.grammar == "root ::= [a-z]":
            raise ComputeError("the grammar does not allow what comes here")
        super().force(token)


class _Backend(ToyBackend):
    def sampler(self, params: SamplingParams) -> ToySampler:
        super().sampler(params)
        self.samplers[-1] = _Strict(params)
        return self.samplers[-1]


def reply(script: list[int], params: SamplingParams, where: ThinkingBlock | None, n_kept: int = 0, prompt: int = 2):
    """Runs a reply that says `script`; returns what happened, the sequence and the backend."""
    begun = [1] * prompt

    def following(tokens: list[int]) -> int:
        return script[len(tokens) - len(begun)]

    backend = _Backend(following)
    kept = script[:n_kept]
    sequence = Sequence(1, [*begun, *kept], params, 0, 0.0, block=where, n_kept=n_kept)
    scheduler = Scheduler(backend)
    scheduler.submit(sequence)
    sampled: list[Sampled] = []
    while not scheduler.idle:
        sampled += [each for each in scheduler.step() if isinstance(each, Sampled)]
    return sampled, sequence, backend


def test_each_token_is_chosen_by_the_set_that_is_in_force_and_both_see_all() -> None:
    script = [4, OPEN, 5, 6, CLOSE, 7, 8, 0]
    sampled, sequence, backend = reply(script, SETS, block())
    assert sequence.generated == script
    assert [each.thinking for each in sampled] == [False, False, True, True, True, False, False, False]
    answer, thinking = backend.samplers
    assert [answer.params.temperature, thinking.params.temperature] == [0.8, 1.5]
    assert answer.chosen == [4, OPEN, 7, 8, 0]
    assert thinking.chosen == [5, 6, CLOSE]
    assert answer.accepted == thinking.accepted == [1, 1, *script]
    assert answer.closed
    assert thinking.closed


def test_the_prompt_may_have_opened_the_block() -> None:
    sampled, _, backend = reply([5, CLOSE, 7, 0], SETS, block(inside=True))
    assert [each.thinking for each in sampled] == [True, True, False, False]
    assert backend.samplers[1].chosen == [5, CLOSE]


def test_kept_tokens_of_a_reply_open_it_too() -> None:
    sampled, _, backend = reply([4, OPEN, 5, CLOSE, 7, 0], SETS, block(), n_kept=3)
    assert [(each.token, each.thinking) for each in sampled] == [(CLOSE, True), (7, False), (0, False)]
    assert backend.samplers[0].accepted == [1, 1, 4, OPEN, 5, CLOSE, 7, 0]


def test_forced_tokens_switch_it() -> None:
    params = SamplingParams(max_tokens=4, force=(f"#{OPEN}",), thinking={"top_k": 1})
    sampled, _, backend = reply([OPEN, 5, CLOSE, 7], params, block())
    assert (sampled[0].token, sampled[0].origin) == (OPEN, Origin.FORCED)
    assert backend.samplers[1].chosen == [5, CLOSE]


def test_the_sets_share_what_holds_for_the_reply_and_draw_other_numbers() -> None:
    params = SamplingParams(seed=5, top_k=7, grammar="root ::= [a-z]", max_tokens=1, thinking={"temperature": 0.1})
    _, _, backend = reply([5, 0], params, block())
    answer, thinking = backend.samplers
    assert (answer.params.top_k, thinking.params.top_k) == (7, 7)
    assert (answer.params.grammar, thinking.params.grammar) == ("root ::= [a-z]", None)
    assert (answer.params.seed, thinking.params.seed) == (5, 6)


@pytest.mark.parametrize(
    "params", [SamplingParams(max_tokens=8, grammar="root ::= [a-z]"), SamplingParams(max_tokens=8, json_schema="{}")]
)
def test_a_grammar_waits_for_the_end_of_a_block_that_the_prompt_opened(params: SamplingParams) -> None:
    sampled, _, backend = reply([5, CLOSE, 7, 0], params, block(inside=True))
    answer, thinking = backend.samplers
    assert (answer.chosen, thinking.chosen) == ([7, 0], [5, CLOSE])
    assert (thinking.params.grammar, thinking.params.json_schema) == (None, None)
    assert [each.thinking for each in sampled] == [True, True, False, False]


@pytest.mark.parametrize("opening", [(OPEN,), (13, 14)])
@pytest.mark.parametrize("thinking", [{}, {"temperature": 1.5}])
def test_a_grammar_waits_for_the_end_of_a_block_that_forced_tokens_open(
    opening: tuple[int, ...], thinking: dict[str, object]
) -> None:
    force = tuple(f"#{token}" for token in (*opening, 5))
    params = SamplingParams(max_tokens=8, grammar="root ::= [a-z]", force=force, thinking=thinking)
    sampled, sequence, backend = reply([*opening, 5, 6, CLOSE, 7, 0], params, block())
    assert (sequence.finish_reason, sequence.error) == (FinishReason.STOP, "")
    assert [each.thinking for each in sampled] == [*[False] * len(opening), True, True, True, False, False]
    _, answer, second = backend.samplers
    assert (answer.chosen, second.chosen) == ([7, 0], [5, 6, CLOSE])
    assert answer.accepted == second.accepted == [1, 1, *opening, 5, 6, CLOSE, 7, 0]
    assert [each.closed for each in backend.samplers] == [True] * 3


def test_a_grammar_waits_too_where_the_opening_is_kept_of_an_older_reply() -> None:
    params = SamplingParams(max_tokens=8, grammar="root ::= [a-z]")
    sampled, sequence, _ = reply([OPEN, 5, CLOSE, 7, 0], params, block(), n_kept=2)
    assert (sequence.finish_reason, sequence.error) == (FinishReason.STOP, "")
    assert [(each.token, each.thinking) for each in sampled] == [(CLOSE, True), (7, False), (0, False)]


def test_a_forced_opening_that_the_grammar_has_itself_is_the_grammars() -> None:
    params = SamplingParams(max_tokens=8, grammar='root ::= "<think>" .*', force=(f"#{OPEN}",))
    _, sequence, backend = reply([OPEN, 5, CLOSE, 0], params, block())
    assert sequence.error == ""
    assert backend.samplers[-1].chosen == [OPEN, 5, CLOSE, 0]


def test_a_mark_that_is_forced_later_is_still_refused() -> None:
    params = SamplingParams(max_tokens=8, grammar="root ::= [a-z]", force=("#4", f"#{OPEN}"))
    _, sequence, _ = reply([4, OPEN, 5, 0], params, block())
    assert (sequence.finish_reason, sequence.error) == (
        FinishReason.ERROR,
        "the grammar does not allow what comes here",
    )


def test_where_no_block_is_open_a_grammar_begins_at_once() -> None:
    _, _, backend = reply([5, 0], SamplingParams(max_tokens=8, grammar="root ::= [a-z]"), block())
    assert len(backend.samplers) == 1


def test_without_a_second_set_there_is_one_chain() -> None:
    sampled, _, backend = reply([OPEN, 5, CLOSE, 0], SamplingParams(max_tokens=8), block())
    assert len(backend.samplers) == 1
    assert not any(each.thinking for each in sampled)


@pytest.mark.parametrize(
    ("thinking", "error"),
    [
        ({"grammar": "wrong"}, "the grammar is wrong at line 1, column 1"),
        (
            {"seed": 3},
            "the parameters for thinking are invalid: `seed` applies to the whole reply, not to thinking alone",
        ),
        ({"temprature": 3}, "the parameters for thinking are invalid: Object contains unknown field `temprature`"),
        (
            {"temperature": "hot"},
            "the parameters for thinking are invalid: Expected `float`, got `str` - at `$.temperature`",
        ),
    ],
)
def test_a_second_set_that_cannot_be_ends_the_request(thinking: dict[str, object], error: str) -> None:
    _, sequence, backend = reply([5, 0], SamplingParams(thinking=thinking), block())
    assert (sequence.finish_reason, sequence.error) == (FinishReason.ERROR, error)
    assert all(each.closed for each in backend.samplers)
