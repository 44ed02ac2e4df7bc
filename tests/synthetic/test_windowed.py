"""Models with a sliding window: however cells come into a sequence, the next token is that of a fresh prompt."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

os.environ["GGML_NO_BACKTRACE"] = "1"

from app.domain.model import KvType, LoadOptions
from app.domain.sampling import SamplingParams
from app.engine.core.backend import Logits
from app.engine.core.events import Sampled
from app.engine.core.scheduler import Scheduler
from app.engine.core.sequence import CacheFacts, Sequence
from app.engine.kv.store import KvStore
from app.engine.native import library
from app.engine.native.context import NativeContext
from app.engine.native.loader import LoadedModel, load
from app.engine.requests.service import ParallelContext
from app.models.gguf import read_header
from tests.synthetic.shapes import Shape
from tests.synthetic.windowed import ARCHITECTURES, WindowedShape
from tests.synthetic.writer import write_model

PROMPT = [3 + (i * 37) % 900 for i in range(400)]
"""Six windows."""
OTHER = [3 + (i * 53) % 900 for i in range(300)]
OPTIONS = LoadOptions(n_ctx=768, n_threads=1, n_slots=1, kv_type=KvType.F32, flash_attn="off")
"""Cells that are exact, so that all that is left is the order of sums in batches of other sizes."""
GEMMA2 = Shape(
    n_layers=4, n_embd=128, n_head=4, n_head_kv=2, n_ff=256, n_vocab=1000, architecture="gemma2", n_window=64
)


@pytest.fixture(
    scope="module",
    params=[
        "gemma2",
        *(name if name == "gemma3" else pytest.param(name, marks=pytest.mark.slow) for name in ARCHITECTURES),
    ],
)
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoadedModel]:
    library.start()
    shape = GEMMA2 if request.param == "gemma2" else WindowedShape(architecture=request.param)
    path = write_model(tmp_path_factory.mktemp("windowed") / "m.gguf", shape, "f32")
    assert read_header(path).architecture == request.param
    loaded = load(str(path), msgspec.structs.replace(OPTIONS, n_slots=2), lambda fraction: True)
    yield loaded
    loaded.close()


@pytest.fixture
def context(loaded: LoadedModel) -> NativeContext:
    assert loaded.context.n_window == 64
    assert loaded.context.partial_removal
    for seq_id in range(loaded.context.n_slots):
        loaded.context.clear(seq_id)
    return loaded.context


class Run:
    """Requests through schedulers of one model; each returns the logits of its first token."""

    def __init__(self, *schedulers: Scheduler) -> None:
        self._schedulers = schedulers
        self._n_asked = 0

    def ask(self, prompt: list[int], *, at: int = 0, max_tokens: int = 8, n: int = 1) -> list[tuple[Sequence, Logits]]:
        params = SamplingParams(temperature=0, max_tokens=max_tokens, ban=("<|im_end|>",))
        asked: list[Sequence] = []
        for _ in range(n):
            self._n_asked += 1
            asked.append(
                Sequence(
                    self._n_asked, list(prompt), params, 900, 0.0, cache=CacheFacts(cacheable=True, conversation=1)
                )
            )
            self._schedulers[at].submit(asked[-1])
        first: dict[Sequence, Logits] = {}
        while not all(scheduler.idle for scheduler in self._schedulers):
            for scheduler in self._schedulers:
                for each in scheduler.step():
                    if isinstance(each, Sampled) and each.sequence not in first:
                        p = np.zeros(1000, np.float32)
                        for token, probability in each.measured.top:
                            p[token] = probability
                        first[each.sequence] = p
        assert not any(each.error for each in asked)
        assert all(scheduler.check_integrity() == [] for scheduler in self._schedulers)
        return [(each, first[each]) for each in asked]


def one(found: list[tuple[Sequence, Logits]]) -> tuple[Sequence, Logits]:
    (pair,) = found
    return pair


@pytest.fixture
def anew(loaded: LoadedModel) -> Iterator[Run]:
    """Computes every prompt with nothing in the cache."""
    context = NativeContext(loaded.model, OPTIONS, 768)

    class Anew(Run):
        def ask(self, prompt: list[int], **given: int) -> list[tuple[Sequence, Logits]]:  # type: ignore[override]
            context.clear(0)
            return Run(Scheduler(context)).ask(prompt, **given)

    yield Anew()
    context.close()


def same(anew: Run, found: tuple[Sequence, Logits], n_cached: int) -> None:
    sequence, p = found
    expected = one(anew.ask(sequence.prompt))[1]
    assert sequence.cache.n_cached == n_cached
    assert np.abs(p - expected).max() <= 1e-5


def test_a_slot_of_its_own_a_follow_up_a_reply_again_an_edit_a_fork(context: NativeContext, anew: Run) -> None:
    run = Run(Scheduler(context))
    first, _ = one(run.ask(PROMPT))
    whole = [*PROMPT, *first.generated]
    same(anew, one(run.ask([*whole, 5, 6, 7])), 407)
    same(anew, one(run.ask(whole)), 407)
    same(anew, one(run.ask([*PROMPT[:200], 9, 9])), 200)
    same(anew, one(run.ask([*PROMPT[:150], *OTHER[:100]])), 150)


def test_a_state_from_disk(context: NativeContext, anew: Run, tmp_path: Path) -> None:
    def restarted(prompt: list[int]) -> tuple[Sequence, Logits, Run]:
        for seq_id in range(context.n_slots):
            context.clear(seq_id)
        run = Run(Scheduler(context, archive=KvStore(tmp_path, b"k" * 32, 1 << 30)))
        return *one(run.ask(prompt)), run

    store = KvStore(tmp_path, b"k" * 32, 1 << 30)
    scheduler = Scheduler(context, archive=store)
    first, _ = one(Run(scheduler).ask(PROMPT))
    scheduler.reuse.keep_all(float("inf"))
    store.close(30)
    whole = [*PROMPT, *first.generated[:-1]]
    follow_up, p, run = restarted([*whole, 5, 6, 7])
    assert follow_up.cache.n_restored == 407
    same(anew, (follow_up, p), 407)
    same(anew, one(run.ask(follow_up.prompt)), 409)
    same(anew, one(run.ask([*PROMPT[:200], 9, 9])), 0)
    for prompt in (PROMPT, [*PROMPT[:399], 9, 9], [*PROMPT[:200], 9, 9, 9]):
        edited, p, _ = restarted(prompt)
        same(anew, (edited, p), 0)


def test_a_copy_between_sequences(context: NativeContext, anew: Run) -> None:
    scheduler = Scheduler(context)
    run = Run(scheduler)
    one(run.ask([*PROMPT, *OTHER]))
    beside, p = one(run.ask([*PROMPT[:300], *OTHER[100:200]]))
    same(anew, (beside, p), 300)


def test_a_prefix_that_is_computed_once_for_several(context: NativeContext, anew: Run) -> None:
    run = Run(Scheduler(context))
    for i, found in enumerate(run.ask([*PROMPT, *OTHER[:40]], n=2)):
        same(anew, found, 439 * i)


def test_branches_of_a_prompt_and_of_a_finished_reply_and_back(context: NativeContext, anew: Run) -> None:
    main = Scheduler(context)
    branches = ParallelContext(context, main)
    try:
        run = Run(main, branches.scheduler)
        first, _ = one(run.ask(PROMPT, max_tokens=20))
        found = run.ask(PROMPT, at=1, max_tokens=60, n=3)
        for each in found:
            same(anew, each, 399)
        picked = found[1][0]
        same(anew, one(run.ask([*PROMPT, *picked.generated[:-1], 4, 5])), 459)
        same(anew, one(run.ask([*PROMPT, *first.generated[:10], 8], at=1)), 0)
        for each in run.ask(OTHER, at=1, n=2):
            same(anew, each, each[0].cache.n_cached)
    finally:
        branches.context.close()
