"""Grammars on the real model: the mask comes before the chain, in every way in which a token is chosen."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from app.domain.generation import FinishReason
from app.domain.sampling import SamplingParams
from app.engine.core.backend import Logits
from app.engine.core.events import Held, Sampled
from app.engine.core.scheduler import Scheduler
from app.engine.core.sequence import HoldState, Sequence
from app.engine.core.thinking import ThinkingBlock
from app.engine.native.context import NativeContext
from app.engine.native.loader import LoadedModel

pytestmark = pytest.mark.model

COLOURS = {"type": "array", "items": {"enum": ["red", "green", "blue"]}, "minItems": 6, "maxItems": 6}


def run(
    context: NativeContext,
    loaded: LoadedModel,
    params: SamplingParams,
    prompt: bytes = b"Colours as JSON:",
    **how: object,
) -> tuple[Sequence, list[Sampled], str]:
    for seq_id in range(context.n_slots):
        context.clear(seq_id)
    scheduler = Scheduler(context)
    sequence = Sequence(1, loaded.model.vocab.tokenize(prompt), params, 5, 0.0, **how)  # type: ignore[arg-type]
    scheduler.submit(sequence)
    sampled: list[Sampled] = []
    while not scheduler.idle:
        sampled += [each for each in scheduler.step() if isinstance(each, Sampled)]
    return sequence, sampled, b"".join(loaded.model.vocab.pieces[i] for i in sequence.generated).decode()


def logits_after(context: NativeContext, loaded: LoadedModel, prompt: bytes) -> Logits:
    tokens = loaded.model.vocab.tokenize(prompt)
    context.batch.clear()
    first = context.batch.add(tokens, 0, 0, 1)
    context.decode()
    return context.logits(first + len(tokens) - 1).copy()


@pytest.mark.parametrize(
    "chain", [{}, {"temperature": 1.0, "top_k": 3, "top_p": 0.9, "min_p": 0.0}, {"typical_p": 0.9, "top_k": 0}]
)
def test_the_preview_is_the_distribution_that_is_drawn_from(
    context: NativeContext, loaded: LoadedModel, chain: dict[str, float]
) -> None:
    logits = logits_after(context, loaded, b"Is the sky blue? Answer yes, no or perhaps. ")
    params = SamplingParams(regex="yes|no|maybe|perhaps", **chain)  # type: ignore[arg-type]
    preview = context.sampler(params)
    foreseen = dict(preview.preview(logits, [], 20).after)
    assert sum(foreseen.values()) == pytest.approx(1.0, abs=1e-6)
    drawn: Counter[int] = Counter()
    for seed in range(400):
        sampler = context.sampler(SamplingParams(regex="yes|no|maybe|perhaps", seed=seed, **chain))  # type: ignore[arg-type]
        drawn[sampler.sample(logits)] += 1
        sampler.close()
    preview.close()
    assert set(drawn) <= set(foreseen)
    for token, p in foreseen.items():
        assert drawn[token] / 400 == pytest.approx(p, abs=4 * (p * (1 - p) / 400) ** 0.5 + 0.005)


def test_with_the_stages_watched_or_not_the_same_token_is_drawn(context: NativeContext, loaded: LoadedModel) -> None:
    logits = logits_after(context, loaded, b"Colours as JSON:")
    for seed in range(20):
        params = SamplingParams(seed=seed, json_schema="{}", repeat_penalty=1.2)
        plain, watched = context.sampler(params), context.sampler(params)
        assert plain.sample(logits) == watched.sample(logits, [1, 2, 3])
        grammar = watched.report.stages[0]
        assert (grammar.name, grammar.n_in) == ("grammar", context.n_vocab)
        assert watched.report.stages[1].n_in == grammar.n_out < context.n_vocab
        plain.close()
        watched.close()


@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_drafts_change_nothing_of_a_constrained_reply(
    context: NativeContext, loaded: LoadedModel, temperature: float
) -> None:
    params = SamplingParams(temperature=temperature, seed=3, json_schema=json.dumps(COLOURS), max_tokens=80)
    plain, _, text = run(context, loaded, params)
    drafted, _, again = run(context, loaded, params, speculate=True)
    assert (drafted.generated, again) == (plain.generated, text)
    assert drafted.speculation is not None
    value = json.loads(text)
    assert len(value) == 6
    assert set(value) <= {"red", "green", "blue"}
    assert not plain.incomplete


def test_a_shadow_stays_in_the_grammar_and_leaves_it_where_it_is(context: NativeContext, loaded: LoadedModel) -> None:
    sampler = context.sampler(SamplingParams(temperature=0, regex="(red|blue), (red|blue)"))
    flat = np.zeros(context.n_vocab, np.float32)
    shadow = sampler.shadow()
    drafted = [shadow.choose(flat) for _ in range(4)]
    shadow.close()
    text = b"".join(loaded.model.vocab.pieces[token] for token in drafted)
    assert sampler.n_fitting(drafted) == 4
    assert text.startswith((b"r", b"b"))
    assert [sampler.sample(flat) for _ in range(4)] == drafted
    sampler.close()


def test_a_draft_is_cut_where_the_grammar_ends_it(context: NativeContext, loaded: LoadedModel) -> None:
    sampler = context.sampler(SamplingParams(regex="yes"))
    yes, no = (loaded.model.vocab.tokenize(text)[0] for text in (b"yes", b"no"))
    assert sampler.n_fitting([no]) == 0
    assert sampler.n_fitting([yes, no]) == 1
    sampler.close()


def test_a_reply_that_a_limit_cuts_off_is_incomplete(context: NativeContext, loaded: LoadedModel) -> None:
    params = SamplingParams(temperature=0, json_schema=json.dumps(COLOURS), max_tokens=4)
    sequence, _, _ = run(context, loaded, params)
    assert (sequence.finish_reason, sequence.incomplete) == (FinishReason.LENGTH, True)
    whole = SamplingParams(temperature=0, regex="[a-z]+", max_tokens=4)
    assert not run(context, loaded, whole)[0].incomplete
    assert not run(context, loaded, SamplingParams(temperature=0, max_tokens=4))[0].incomplete


def test_the_grammar_waits_for_the_end_of_the_thinking_that_the_prompt_began(
    context: NativeContext, loaded: LoadedModel
) -> None:
    pieces = loaded.model.vocab.named_pieces
    close = {"logit_bias": {">": 60.0}}
    params = SamplingParams(temperature=0, json_schema=json.dumps(COLOURS), max_tokens=80, thinking=close)
    block = ThinkingBlock((b"<", b">"), pieces, inside=True)
    sequence, sampled, text = run(context, loaded, params, block=block)
    thought = b"".join(pieces[each.token] for each in sampled if each.thinking).decode()
    assert thought.endswith(">")
    assert len(json.loads(text.removeprefix(thought))) == 6
    cut = SamplingParams(temperature=0, json_schema="{}", max_tokens=3, thinking={"ban": [">"]})
    sequence, _, _ = run(context, loaded, cut, block=ThinkingBlock((b"<", b">"), pieces, inside=True))
    assert (sequence.finish_reason, sequence.incomplete) == (FinishReason.LENGTH, True)


def test_a_held_reply_shows_what_the_grammar_leaves_also_after_a_ban_and_forced_tokens(
    context: NativeContext, loaded: LoadedModel
) -> None:
    vocab = loaded.model.vocab
    params = SamplingParams(seed=1, grammar='root ::= "yes" | "no, " [a-z]+', max_tokens=12)
    scheduler = Scheduler(context)
    sequence = Sequence(1, vocab.tokenize(b"Is the sky blue? "), params, 0, 0.0, held=HoldState(n_left=0))
    scheduler.submit(sequence)
    (held,) = (each for _ in range(4) for each in scheduler.step() if isinstance(each, Held))
    first = {vocab.pieces[token] for token, _ in held.preview.after}
    assert first <= {b"y", b"ye", b"yes", b"n", b"no"}
    sampler = sequence.sampler
    assert sampler
    sampler.ban([token for token, _ in held.preview.after if vocab.pieces[token].startswith(b"y")])
    sequence.forced += vocab.tokenize(b"no, ")
    sequence.resume(None)
    while not scheduler.idle:
        scheduler.step()
    assert b"".join(vocab.pieces[token] for token in sequence.generated).startswith(b"no, ")
    assert not sequence.error


def test_persons_and_poems_parse_and_validate(context: NativeContext, loaded: LoadedModel) -> None:
    from jsonschema import Draft202012Validator

    from tests.fakes.schemas import PERSON, POEM

    for schema, prompt in ((PERSON, b"A person as JSON:"), (POEM, b"A short poem as JSON:")):
        for seed in range(2):
            params = SamplingParams(seed=seed, json_schema=json.dumps(schema), max_tokens=300)
            sequence, _, text = run(context, loaded, params, prompt)
            assert sequence.finish_reason is FinishReason.STOP
            Draft202012Validator(schema).validate(json.loads(text))
