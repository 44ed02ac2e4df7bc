"""The numbers are true on the real model: probabilities, ranks, cells, and a reply that is the same stepped or not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from msgspec.structs import replace

from app.domain.generation import FinishReason
from app.domain.sampling import SamplingParams
from app.domain.trace import Origin
from app.engine.core.events import Held, Sampled, StepEvent
from app.engine.core.scheduler import Scheduler
from app.engine.core.sequence import HoldState, Sequence
from app.engine.native.context import NativeContext
from app.engine.native.loader import LoadedModel

pytestmark = pytest.mark.model

PROMPT = b"The three primary colours are"
N_TOKENS = 16
CHAINS = {
    "default": SamplingParams(seed=5),
    "greedy": SamplingParams(temperature=0),
    "penalised": SamplingParams(seed=6, min_p=0.1, repeat_penalty=1.3, frequency_penalty=0.2, dry_multiplier=0.8),
    "xtc": SamplingParams(seed=9, typical_p=0.9, xtc_probability=0.5),
    "no top-k": SamplingParams(seed=11, top_k=0, top_p=0.8),
    "adaptive-p": SamplingParams(seed=3, adaptive_target=0.3),
    "mirostat 1": SamplingParams(seed=3, mirostat=1),
    "mirostat 2": SamplingParams(seed=3, mirostat=2),
    "biased": SamplingParams(seed=3, logit_bias={"#20": 3.0}),
    "grammar": SamplingParams(seed=4, grammar='root ::= " " ("red" | "blue" | "green" | ", " | " and ")+'),
}


class Rows:
    """Keeps a copy of every row of logits that the loop looks at."""

    def __init__(self, context: NativeContext, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[npt.NDArray[np.float64]] = []
        logits = context.logits

        def watched(row: int) -> npt.NDArray[np.float32]:
            self.seen.append(logits(row).astype(np.float64))
            return logits(row)

        monkeypatch.setattr(context, "logits", watched)


def limited(params: SamplingParams, n: int = N_TOKENS) -> SamplingParams:
    return replace(params, max_tokens=n, ban=("<|im_end|>",) if params.grammar is None else ())


def clear(context: NativeContext) -> Scheduler:
    for seq_id in range(context.n_slots):
        context.clear(seq_id)
    return Scheduler(context)


def turn(scheduler: Scheduler, when_held: Callable[[Sequence], None] = lambda sequence: None) -> list[StepEvent]:
    """Steps until there is nothing to do; after every step the cache holds what the slots say."""
    happened: list[StepEvent] = []
    while not scheduler.idle:
        new = scheduler.step()
        happened += new
        assert scheduler.check_integrity() == []
        for each in new:
            if isinstance(each, Held):
                when_held(each.sequence)
    return happened


def tokens(happened: list[StepEvent]) -> list[int]:
    return [each.token for each in happened if isinstance(each, Sampled)]


def exact_softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


@pytest.mark.parametrize("temperature", [0.8, 3.0])
def test_every_figure_of_every_token_is_that_of_an_exact_softmax(
    loaded: LoadedModel, context: NativeContext, monkeypatch: pytest.MonkeyPatch, temperature: float
) -> None:
    rows = Rows(context, monkeypatch)
    scheduler = Scheduler(context)
    params = SamplingParams(seed=2, temperature=temperature, top_k=0, max_tokens=N_TOKENS, force=("#20", "#49151"))
    scheduler.submit(Sequence(1, loaded.model.vocab.tokenize(PROMPT), params, 10, 0.0))
    sampled = [each for each in turn(scheduler) if isinstance(each, Sampled)]
    assert len(sampled) == len(rows.seen)
    eog = sorted(context.eog)
    for each, logits in zip(sampled, rows.seen, strict=True):
        exact, measured = exact_softmax(logits), each.measured
        assert measured.p == pytest.approx(exact[each.token], abs=1e-5)
        assert measured.logprob == pytest.approx(np.log(exact[each.token]), abs=1e-5)
        assert measured.rank == 1 + int((logits > logits[each.token]).sum())
        assert measured.entropy == pytest.approx(-(exact * np.log2(exact + 1e-300)).sum(), abs=1e-4)
        assert measured.p_end == pytest.approx(exact[eog].sum(), abs=1e-5)
        assert [token for token, _ in measured.top] == np.argsort(-logits, kind="stable")[:10].tolist()
        for token, p in measured.top:
            assert p == pytest.approx(exact[token], abs=1e-5)


@pytest.mark.parametrize("name", CHAINS)
def test_stepping_changes_no_token(loaded: LoadedModel, context: NativeContext, name: str) -> None:
    """Looking at what comes next draws nothing and remembers nothing, whatever the chain."""
    prompt = loaded.model.vocab.tokenize(PROMPT)
    plain = Sequence(1, prompt, limited(CHAINS[name]), 5, 0.0)
    scheduler = clear(context)
    scheduler.submit(plain)
    turn(scheduler)
    stepped = Sequence(2, prompt, limited(CHAINS[name]), 5, 0.0, held=HoldState(n_left=0))
    scheduler = clear(context)
    scheduler.submit(stepped)
    happened = turn(scheduler, lambda sequence: sequence.resume(1))
    assert stepped.generated == plain.generated
    assert stepped.finish_reason is plain.finish_reason
    held = [each for each in happened if isinstance(each, Held)]
    assert len(held) == len(stepped.generated)
    for before, token in zip(held, stepped.generated, strict=True):
        assert token in [each for each, _ in before.preview.after] or len(before.preview.after) == 5


def test_what_is_foreseen_is_what_is_drawn_from(loaded: LoadedModel, context: NativeContext) -> None:
    """The stages reported before the draw are those that the draw then reports."""
    params = SamplingParams(seed=8, repeat_penalty=1.2, top_p=0.9, max_tokens=N_TOKENS, ban=("<|im_end|>",))
    sequence = Sequence(
        1, loaded.model.vocab.tokenize(PROMPT), params, 8, 0.0, trace_stages=True, held=HoldState(n_left=0)
    )
    scheduler = Scheduler(context)
    scheduler.submit(sequence)
    happened = turn(scheduler, lambda sequence: sequence.resume(1))
    held = [each for each in happened if isinstance(each, Held)]
    sampled = [each for each in happened if isinstance(each, Sampled)]
    assert len(held) == len(sampled) == N_TOKENS
    for before, after in zip(held, sampled, strict=True):
        assert after.report is not None
        # A prediction lists the best after the chain too, behind those before it.
        n = len(after.report.stages[0].p)
        assert [replace(stage, p=stage.p[:n]) for stage in before.preview.stages] == list(after.report.stages)
        assert before.preview.before == after.measured.top
        assert (before.preview.entropy, before.preview.p_end) == (after.measured.entropy, after.measured.p_end)
        last = dict(zip((token for token, _ in after.measured.top), after.report.stages[-1].p, strict=True))
        for token, p in before.preview.after:
            assert p > 0
            assert token not in last or last[token] == pytest.approx(p, abs=1e-9)
        assert sum(p for _, p in before.preview.after) <= 1 + 1e-9


def test_nothing_is_computed_again_and_the_cache_holds_every_token(loaded: LoadedModel, context: NativeContext) -> None:
    """Pause, resume, forced and banned tokens: after each step as many cells as tokens were computed."""
    prompt = loaded.model.vocab.tokenize(PROMPT)
    sequence = Sequence(1, prompt, limited(SamplingParams(seed=1), 12), 5, 0.0, held=HoldState(n_left=2))
    scheduler = Scheduler(context)
    scheduler.submit(sequence)
    n_rows: list[int] = []
    decode = context.decode

    def counting():
        n_rows.append(context.batch.n)
        return decode()

    context.decode = counting  # type: ignore[method-assign]
    forced = loaded.model.vocab.tokenize(b" purple, not")
    try:
        turn(scheduler)
        assert sequence.slot
        assert context.n_cells(sequence.slot.seq_id) == len(prompt) + 2
        sequence.forced += forced
        sequence.resume(len(forced))
        happened = turn(scheduler)
        assert [each.origin for each in happened if isinstance(each, Sampled)] == [Origin.FORCED] * len(forced)
        assert context.n_cells(sequence.slot.seq_id) == len(prompt) + 2 + len(forced)
        held = happened[-1]
        assert isinstance(held, Held)
        banned = [token for token, _ in held.preview.after[:2]]
        assert sequence.sampler
        sequence.sampler.ban(banned)
        sequence.resume(0)
        (held,) = turn(scheduler)
        assert isinstance(held, Held)
        assert not {token for token, _ in held.preview.after} & set(banned)
        sequence.resume(None)
        turn(scheduler)
    finally:
        context.decode = decode  # type: ignore[method-assign]
    assert not set(banned) & set(sequence.generated[2 + len(forced) :])
    assert n_rows == [len(prompt), 1, 1, len(forced), *[1] * (9 - len(forced))]
    assert context.n_cells(0) == len(prompt) + 11
    assert sequence.finish_reason is FinishReason.LENGTH


@pytest.mark.parametrize("name", [name for name in CHAINS if name not in ("grammar", "mirostat 1")])
def test_a_ban_keeps_the_state_of_the_other_stages(loaded: LoadedModel, name: str) -> None:
    """A ban of a token that never comes changes no draw; one of a token that comes takes just that one away."""
    rng = np.random.default_rng(8)
    plain, banned = loaded.context.sampler(CHAINS[name]), loaded.context.sampler(CHAINS[name])
    watched = loaded.context.sampler(CHAINS[name])
    for step in range(30):
        logits = (rng.standard_normal(loaded.context.n_vocab) * 4).astype(np.float32)
        logits[7] = -30.0
        expected = plain.sample(logits)
        if step % 10 == 5:
            banned.ban([7])
            watched.ban([7])
        assert banned.sample(logits) == expected
        assert watched.sample(logits, np.argsort(-logits)[:5].tolist()) == expected
    best = int(logits.argmax())
    banned.ban([best])
    for _ in range(20):
        assert banned.sample(logits) != best
    for sampler in (plain, banned, watched):
        sampler.close()


@pytest.mark.parametrize("name", [name for name in CHAINS if name not in ("grammar", "mirostat 1")])
def test_what_was_banned_and_is_no_more_draws_as_if_it_had_never_been(loaded: LoadedModel, name: str) -> None:
    rng = np.random.default_rng(8)
    plain, freed = loaded.context.sampler(CHAINS[name]), loaded.context.sampler(CHAINS[name])
    for _ in range(20):
        logits = (rng.standard_normal(loaded.context.n_vocab) * 4).astype(np.float32)
        watch = np.argsort(-logits)[:5].tolist()
        before = freed.preview(logits, watch, 10)
        freed.ban(watch[:2])
        assert not {token for token, _ in freed.preview(logits, watch, 10).after} & set(watch[:2])
        freed.unban(watch[:2])
        assert freed.preview(logits, watch, 10) == before
        assert freed.sample(logits) == plain.sample(logits)
    for sampler in (plain, freed):
        sampler.close()


def test_the_bans_and_biases_of_a_preset_stay_where_others_are_taken_back(loaded: LoadedModel) -> None:
    params = SamplingParams(seed=1, ban=("#20",), logit_bias={"#21": 3.0})
    sampler = loaded.context.sampler(params)
    logits = np.zeros(loaded.context.n_vocab, np.float32)
    logits[[20, 21, 22]] = 9.0
    before = sampler.preview(logits, [20, 21, 22], 10)
    assert before.after[0][0] == 21
    sampler.ban([20, 21, 22])
    sampler.unban([20, 21, 22, 23])
    assert sampler.preview(logits, [20, 21, 22], 10) == before
    sampler.close()


def test_a_fork_computes_one_token_and_goes_on_as_the_reply_did(loaded: LoadedModel, context: NativeContext) -> None:
    prompt = loaded.model.vocab.tokenize(PROMPT)
    params = limited(SamplingParams(temperature=0, repeat_penalty=1.3))
    first = Sequence(1, prompt, params, 5, 0.0)
    scheduler = Scheduler(context)
    scheduler.submit(first)
    turn(scheduler)
    kept = first.generated[:10]
    fork = Sequence(2, prompt + kept, limited(params, N_TOKENS - 10), 5, 0.0, n_kept=10)
    scheduler.submit(fork)
    turn(scheduler)
    assert fork.cache.n_cached == len(prompt) + 10 - 1
    assert kept + fork.generated == first.generated
    other = Sequence(3, prompt + kept, limited(SamplingParams(seed=1, force=("#20",)), 4), 5, 0.0, n_kept=10)
    scheduler.submit(other)
    turn(scheduler)
    assert (other.cache.n_cached, other.generated[0]) == (len(prompt) + 10 - 1, 20)
    assert context.n_cells(0) == len(prompt) + 10 + 3


def test_what_is_kept_of_a_reply_moves_its_grammar(loaded: LoadedModel, context: NativeContext) -> None:
    vocab = loaded.model.vocab
    params = SamplingParams(seed=1, grammar='root ::= "yes, certainly" | "no"', max_tokens=12)
    prompt, kept = vocab.tokenize(b"Is the sky blue? "), vocab.tokenize(b"yes")
    scheduler = Scheduler(context)
    sequence = Sequence(1, prompt + kept, params, 0, 0.0, n_kept=len(kept))
    scheduler.submit(sequence)
    turn(scheduler)
    assert b"".join(vocab.pieces[token] for token in sequence.generated) == b", certainly"
    wrong = vocab.tokenize(b"maybe")
    refused = Sequence(2, prompt + wrong, params, 0, 0.0, n_kept=len(wrong))
    scheduler.submit(refused)
    turn(scheduler)
    assert refused.finish_reason is FinishReason.ERROR
    assert "grammar" in refused.error


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_where_every_token_is_banned_the_reply_ends_with_an_error(
    loaded: LoadedModel, context: NativeContext, temperature: float
) -> None:
    vocab = loaded.model.vocab
    params = SamplingParams(temperature=temperature, seed=1, grammar='root ::= "yes" | "no"')
    scheduler = Scheduler(context)
    sequence = Sequence(1, vocab.tokenize(b"Is the sky blue? "), params, 0, 0.0, held=HoldState(n_left=0))
    scheduler.submit(sequence)
    held = turn(scheduler)[-1]
    assert isinstance(held, Held)
    assert sequence.sampler
    for _ in range(6):  # as many as there are tokens to begin with, and more
        sequence.sampler.ban([token for token, _ in held.preview.after])
        sequence.resume(0)
        (held,) = turn(scheduler)
        assert isinstance(held, Held)
    assert held.preview.after == []
    sequence.resume(None)
    turn(scheduler)
    assert (sequence.finish_reason, sequence.generated) == (FinishReason.ERROR, [])
    assert sequence.error == "every candidate for the next token is banned"
