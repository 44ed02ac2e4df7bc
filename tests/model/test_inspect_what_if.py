"""The inspector's what-if against llama.cpp's own chain on the real model: what it calls exact is exact."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from app.analysis.chain import Truth, computed
from app.domain.sampling import SamplingParams
from app.domain.trace import TokenTrace, TopToken
from app.engine.core.backend import Logits
from app.engine.core.events import Sampled
from app.engine.core.scheduler import Scheduler
from app.engine.core.sequence import Sequence
from app.engine.native.context import NativeContext
from app.engine.native.loader import LoadedModel
from app.tui.inspector.reproduce import draw_of

pytestmark = pytest.mark.model

PROMPT = b"Once upon a time there was a king who had three daughters. The youngest of the daughters"
BASES = {
    "default": SamplingParams(seed=3),
    "balanced": SamplingParams(seed=4, min_p=0.1, repeat_penalty=1.1),
    "no top-k": SamplingParams(seed=5, top_k=0, top_p=0.9, min_p=0.02),
    "temperature first": SamplingParams(seed=6, samplers=("temperature", "top-k", "min-p"), top_k=12, temperature=1.3),
    "only min-p": SamplingParams(seed=7, top_k=0, top_p=1.0, min_p=0.1),
}
CHANGES: tuple[dict[str, Any], ...] = (
    {},
    {"temperature": 0.0},
    {"temperature": 0.4},
    {"temperature": 1.7},
    {"top_k": 1},
    {"top_k": 5},
    {"top_k": 20},
    {"top_k": 60},
    {"top_p": 0.3},
    {"top_p": 0.7},
    {"min_p": 0.0},
    {"min_p": 0.3},
    {"top_k": 0, "top_p": 1.0, "min_p": 0.4},
)
N_TOKENS, N_TOP = 25, 20


@pytest.fixture
def rows(loaded: LoadedModel, context: NativeContext) -> list[tuple[list[int], Logits]]:
    """What came before each token of a greedy reply, and its logits."""
    ids = loaded.model.vocab.tokenize(PROMPT)
    scheduler = Scheduler(context)
    scheduler.submit(Sequence(1, list(ids), SamplingParams(temperature=0, max_tokens=N_TOKENS), 1, 0.0))
    found: list[tuple[list[int], Logits]] = []
    while len(found) < N_TOKENS:
        for happened in scheduler.step():
            if isinstance(happened, Sampled):
                found.append(([*ids], context.logits(0 if found else len(ids) - 1).copy()))
                ids.append(happened.token)
    return found


def ran(context: NativeContext, seen: list[int], logits: Logits, params: SamplingParams) -> TokenTrace:
    """The trace of one token as the real chain chooses it, with its report on the most likely ones."""
    p = np.exp(logits.astype(np.float64) - logits.max())
    p /= p.sum()
    best = [int(token) for token in np.argsort(-p, kind="stable")[:N_TOP]]
    sampler = context.sampler(params)
    sampler.accept(seen)
    token = sampler.sample(logits, best)
    report = sampler.report
    sampler.close()
    top = tuple(TopToken(each, "", float(p[each])) for each in best)
    return TokenTrace(token, "", 1.0, float(p[token]), 0.0, 1, 1.0, top, stages=report.stages, draw=report.draw)


WITHOUT_RECORD = BASES | {
    "all penalties": SamplingParams(seed=8, repeat_penalty=1.2, frequency_penalty=0.3, presence_penalty=0.2),
    "only top-p": SamplingParams(seed=9, temperature=0.8, top_k=0, top_p=0.9, min_p=0.0),
    "creative": SamplingParams(seed=10, temperature=1.5, top_k=20, min_p=0.02),
}


@pytest.mark.parametrize("name", WITHOUT_RECORD)
def test_without_a_record_the_chain_follows_from_the_seed_and_the_ids(
    loaded: LoadedModel, context: NativeContext, name: str
) -> None:
    params, prompt = replace(WITHOUT_RECORD[name], max_tokens=60), loaded.model.vocab.tokenize(PROMPT)
    scheduler = Scheduler(context)
    scheduler.submit(Sequence(1, list(prompt), params, 40, 0.0))
    tokens: list[TokenTrace] = []
    while not scheduler.idle:
        for happened in scheduler.step():
            if isinstance(happened, Sampled):
                measured = happened.measured
                top = tuple(TopToken(each, "", p) for each, p in measured.top)
                tokens.append(
                    replace(
                        TokenTrace(happened.token, "", 1.0, measured.p, measured.logprob, 1, 1.0, top),
                        log_total=measured.log_total,
                    )
                )
    ids = [*prompt, *(token.id for token in tokens)]
    n_exact = 0
    for at, token in enumerate(tokens):
        u = draw_of(tokens, at, 0, params.seed or 0)
        chain = computed(token, params, params, ids[: len(prompt) + at], u)
        assert chain is not None
        if chain.truth is Truth.EXACT:
            n_exact += 1
            assert chain.pick is not None
            assert token.top[chain.pick].id == token.id
        assert chain.why != "its own chain gives another result"
    # Top-p alone may keep more tokens than the 40 that are stored.
    assert n_exact >= (0.5 if name == "only top-p" else 0.8) * len(tokens), f"{n_exact} of {len(tokens)}"


@pytest.mark.slow
@pytest.mark.parametrize("name", BASES)
def test_exact_is_what_llama_cpp_does(context: NativeContext, rows: list[tuple[list[int], Logits]], name: str) -> None:
    n_exact = Counter[int]()
    for i, (seen, logits) in enumerate(rows):
        before = replace(BASES[name], seed=100 * i)
        token = ran(context, seen, logits, before)
        for n, change in enumerate(CHANGES):
            after = replace(before, **change)
            mine, real = computed(token, before, after, seen), ran(context, seen, logits, after)
            assert mine is not None
            if mine.truth is not Truth.EXACT:
                continue
            n_exact[n] += 1
            assert [step.name for step in mine.steps] == [stage.name for stage in real.stages]
            if after.temperature > 0:
                assert np.abs(np.subtract(mine.p, real.stages[-1].p)).max() < 1e-4
                assert mine.steps[-1].n_out[0] == real.stages[-1].n_out
            if mine.pick is not None:
                assert token.top[mine.pick].id == real.id
    print(name, dict(n_exact))
    assert n_exact[0] >= N_TOKENS // 2, "the chain that ran is hardly ever reproduced"
    assert sum(n_exact.values()) >= len(CHANGES) * N_TOKENS // 3
