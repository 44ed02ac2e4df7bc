"""Other architectures than llama through our own loop: every reply is that of a prompt computed anew."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest

os.environ["GGML_NO_BACKTRACE"] = "1"

from app.domain.model import LoadOptions
from app.domain.sampling import SamplingParams
from app.engine.core.scheduler import Scheduler
from app.engine.core.sequence import Sequence
from app.engine.native import library
from app.engine.native.context import NativeContext
from app.engine.native.loader import LoadedModel, load
from app.models.gguf import read_header
from tests.synthetic.shapes import Shape
from tests.synthetic.writer import write_model

PROMPT = [3 + (i * 37) % 900 for i in range(200)]
"""Three windows of the gemma2."""


@pytest.fixture(scope="module", params=["llama", "qwen2", "gemma2"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoadedModel]:
    library.start()
    shape = Shape(
        n_layers=4, n_embd=128, n_head=4, n_head_kv=2, n_ff=256, n_vocab=1000, architecture=request.param, n_window=64
    )
    path = write_model(tmp_path_factory.mktemp("architectures") / "m.gguf", shape, "f32")
    assert read_header(path).architecture == request.param
    loaded = load(str(path), LoadOptions(n_ctx=512, n_threads=1), lambda fraction: True)
    yield loaded
    loaded.close()


def reply(context: NativeContext, scheduler: Scheduler, prompt: list[int]) -> tuple[list[int], int]:
    """Greedy; with how much of the prompt was there."""
    params = SamplingParams(temperature=0, max_tokens=8, ban=("<|im_end|>",))
    sequence = Sequence(1, list(prompt), params, 0, 0.0)
    scheduler.submit(sequence)
    scheduler.step()
    assert np.isfinite(context.logits(context.batch.n - 1)).all()
    while not scheduler.idle:
        scheduler.step()
    assert not sequence.error
    assert scheduler.check_integrity() == []
    return sequence.generated, sequence.cache.n_cached


def test_what_is_reused_says_what_is_computed_anew(loaded: LoadedModel) -> None:
    context = loaded.context
    assert context.partial_removal
    edited = [*PROMPT[:130], *PROMPT[5:60]]

    def fresh(*prompts: list[int]) -> list[tuple[list[int], int]]:
        for seq_id in range(context.n_slots):
            context.clear(seq_id)
        scheduler = Scheduler(context)
        return [reply(context, scheduler, prompt) for prompt in prompts]

    (first, _), (again, n_again), (changed, n_changed) = fresh(PROMPT, PROMPT, edited)
    assert (n_again, n_changed) == (199, 130)
    assert again == first
    assert changed == fresh(edited)[0][0]
    assert changed != first
