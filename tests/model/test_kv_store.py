"""States of the real model: a restored conversation continues as if it had never left, in another process too."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.domain.model import LoadOptions
from app.domain.sampling import SamplingParams
from app.engine.core.reuse import WORTH
from app.engine.core.scheduler import Scheduler
from app.engine.core.sequence import CacheFacts, Sequence
from app.engine.kv.store import KvStore
from app.engine.native.context import NativeContext
from app.engine.native.loader import LoadedModel

pytestmark = pytest.mark.model
KEY = b"k" * 32


@pytest.fixture
def make(loaded: LoadedModel) -> Iterator[object]:
    made: list[NativeContext] = []

    def make(n_ctx: int = 1024, n_slots: int = 1, **options: object) -> NativeContext:
        made.append(NativeContext(loaded.model, LoadOptions(n_slots=n_slots, **options), n_ctx))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for context in made:
        context.close()


def run(scheduler: Scheduler, prompt: list[int], max_tokens: int = 12) -> Sequence:
    params = SamplingParams(temperature=0, max_tokens=max_tokens)
    sequence = Sequence(1, prompt, params, 0, time.perf_counter(), cache=CacheFacts(cacheable=True))
    scheduler.submit(sequence)
    while not scheduler.idle:
        scheduler.step()
    assert not sequence.error
    assert scheduler.check_integrity() == []
    return sequence


@pytest.fixture
def prompt(loaded: LoadedModel) -> list[int]:
    text = b"The harbour town lay quiet under the first snow, and nobody on the quay saw the small boat come in. "
    return loaded.model.vocab.tokenize(text * 30)[:600]


def test_a_restored_conversation_continues_as_it_would_have(make, prompt: list[int], tmp_path: Path) -> None:
    first = Scheduler(make(), archive=KvStore(tmp_path, KEY))
    run(first, prompt[:WORTH])
    store = KvStore(tmp_path, KEY)
    first.reuse._archive = store
    first.reuse.keep_all(float("inf"))
    store.close(20)
    follow_up = [*first.slots.slots[0].tokens, *prompt[5:25]]
    expected = run(first, follow_up)

    again = Scheduler(make(n_ctx=2048), archive=KvStore(tmp_path, KEY))
    restored = run(again, follow_up)
    assert restored.cache.notices == []
    assert restored.cache.n_restored == restored.cache.n_cached == expected.cache.n_cached == len(follow_up) - 20
    assert restored.generated == expected.generated
    assert restored.cache.notices == []


@pytest.mark.slow
def test_a_copied_prefix_continues_as_a_computed_one(make, prompt: list[int]) -> None:
    scheduler = Scheduler(make(n_slots=2))
    run(scheduler, [*prompt, *reversed(prompt[:300])])
    other = [*prompt[:300], *prompt[400:600], *prompt[330:500]]
    shared = run(scheduler, other)
    assert shared.cache.n_shared == 300
    fresh = run(Scheduler(make()), other)
    assert fresh.cache.n_cached == 0
    # Equal but for the rounding that other batch shapes bring: the beginning of the text is the same.
    assert shared.generated[:4] == fresh.generated[:4]


@pytest.mark.slow
def test_a_state_of_another_layout_is_refused_deleted_and_computed(make, prompt: list[int], tmp_path: Path) -> None:
    """The key names the layout; where it lies, llama.cpp's own check is the last one."""
    first = Scheduler(make(), archive=KvStore(tmp_path, KEY))
    run(first, prompt)
    first.reuse.keep_all(float("inf"))
    first.reuse._archive.close(20)
    other = Scheduler(make(kv_type="q8_0", flash_attn="on"), archive=KvStore(tmp_path, KEY))
    computed = run(other, prompt, 2)
    assert (computed.cache.n_cached, computed.cache.n_restored) == (0, 0)
    assert len(computed.cache.notices) == 1
    assert list(tmp_path.iterdir()) == []


def test_another_number_of_slots_is_another_layout(make, prompt: list[int], tmp_path: Path) -> None:
    """llama.cpp counts streams; that is why the key names them."""
    one, two = make(), make(n_slots=2)
    run(Scheduler(one), prompt[:50], 1)
    state = one.read_state(0)
    assert state is not None
    assert not two.write_state(1, state)
    assert two.n_cells(1) == 0


@pytest.mark.slow
def test_a_state_longer_than_the_window_is_refused(make, prompt: list[int], tmp_path: Path) -> None:
    first = Scheduler(make(), archive=KvStore(tmp_path, KEY))
    run(first, prompt)
    first.reuse.keep_all(float("inf"))
    first.reuse._archive.close(20)
    small = Scheduler(make(n_ctx=512), archive=KvStore(tmp_path, KEY))
    assert run(small, prompt[:400], 2).cache.n_restored == 0


def test_the_probe_says_that_this_cache_can_be_cut(loaded: LoadedModel) -> None:
    assert loaded.context.partial_removal
    assert not any("cannot be cut" in notice for notice in loaded.notices)
