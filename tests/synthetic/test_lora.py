"""Adapters in llama.cpp through our own loader: a scale of 0 is none, switching is exact, wrong files are refused."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

os.environ["GGML_NO_BACKTRACE"] = "1"

from app.domain.generation import FinishReason
from app.domain.model import LoadOptions, LoraAdapter
from app.domain.sampling import SamplingParams
from app.engine.core.backend import Logits
from app.engine.core.scheduler import Scheduler
from app.engine.core.sequence import Sequence
from app.engine.native import library
from app.engine.native.context import NativeContext
from app.engine.native.loader import LoadedModel, describe, load
from app.engine.native.model import LoadError
from app.protocol.events import AdapterReady
from tests.synthetic.lora import write_lora
from tests.synthetic.shapes import Shape
from tests.synthetic.writer import write_model

SMALL = Shape(n_layers=2, n_embd=256, n_head=4, n_head_kv=2, n_ff=256, n_vocab=2000, n_ctx_train=512)
PROMPT = [7, 300, 41, 12, 900, 33, 8, 77]


def loaded_with(folder: Path, *adapters: LoraAdapter) -> LoadedModel:
    library.start()
    path = folder / "m.gguf"
    if not path.exists():
        write_model(path, SMALL, "f32")
    options = LoadOptions(n_ctx=256, n_threads=1, lora=adapters)
    return load(str(path), options, lambda fraction: True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lora")
    write_lora(folder / "one.gguf", n_layers=2, n_embd=256, seed=1)
    write_lora(folder / "two.gguf", n_layers=2, n_embd=256, seed=2)
    return folder


@pytest.fixture
def loaded(both: LoadedModel) -> LoadedModel:
    """The model with both adapters and an empty cache."""
    for seq_id in range(both.context.n_slots):
        both.context.clear(seq_id)
    return both


@pytest.fixture(scope="module")
def both(folder: Path) -> Iterator[LoadedModel]:
    one = LoraAdapter(name="one", path=str(folder / "one.gguf"), scale=0.5)
    two = LoraAdapter(name="two", path=str(folder / "two.gguf"), scale=0.0)
    loaded = loaded_with(folder, one, two)
    yield loaded
    loaded.close()


def logits_after(context: NativeContext, lora: dict[str, float] | None) -> Logits:
    """Of the prompt's last token, computed with nothing in the cache."""
    context.use_adapters(context.adapters(lora))
    context.clear(0)
    context.batch.clear()
    first = context.batch.add(PROMPT, 0, 0, 1)
    context.decode()
    return context.logits(first + len(PROMPT) - 1).copy()


def test_scale_0_is_no_adapter_and_switching_back_restores_every_bit(loaded: LoadedModel, folder: Path) -> None:
    plain = loaded_with(folder)
    try:
        without = logits_after(plain.context, None)
    finally:
        plain.close()
    context = loaded.context
    assert np.array_equal(logits_after(context, {}), without)
    assert np.array_equal(logits_after(context, {"one": 0.0, "two": 0.0}), without)
    one, two = logits_after(context, {"one": 1.0}), logits_after(context, {"two": 1.0})
    for a, b in ((one, without), (two, without), (one, two)):
        assert np.abs(a - b).max() > 0.01
    assert np.array_equal(logits_after(context, {"one": 1.0, "two": 0.0}), one)
    assert np.array_equal(logits_after(context, {"two": 1.0, "one": 1.0}), logits_after(context, {"one": 1, "two": 1}))
    assert np.array_equal(logits_after(context, {}), without)


def test_the_models_own_scales_act_where_nothing_is_said(loaded: LoadedModel) -> None:
    context = loaded.context
    assert context.adapters(None) == (("one", 0.5),)
    assert np.array_equal(logits_after(context, None), logits_after(context, {"one": 0.5}))


def test_a_new_context_after_a_failure_has_the_set_in_use(loaded: LoadedModel) -> None:
    context = loaded.context
    with_two = logits_after(context, {"two": 1.0})
    context.reset()
    assert np.array_equal(logits_after(context, {"two": 1.0}), with_two)
    context.use_adapters(())


def test_the_loop_computes_each_request_with_its_own_set_and_reuses_no_cell_of_another(loaded: LoadedModel) -> None:
    def generated(scheduler: Scheduler, lora: dict[str, float]) -> tuple[list[int], int]:
        params = SamplingParams(temperature=0, max_tokens=8, lora=lora)
        sequence = Sequence(1, list(PROMPT), params, 0, 0.0)
        scheduler.submit(sequence)
        while not scheduler.idle:
            scheduler.step()
        return sequence.generated, sequence.cache.n_cached

    sets = ({}, {"one": 4.0}, {"two": 4.0})
    fresh: list[list[int]] = []
    for lora in sets:
        for seq_id in range(loaded.context.n_slots):
            loaded.context.clear(seq_id)
        fresh.append(generated(Scheduler(loaded.context), lora)[0])
    assert fresh[0] != fresh[1] != fresh[2] != fresh[0]
    for seq_id in range(loaded.context.n_slots):
        loaded.context.clear(seq_id)
    scheduler = Scheduler(loaded.context)
    for lora, expected in zip((*sets, *sets), (*fresh, *fresh), strict=True):
        assert generated(scheduler, lora) == (expected, 0)  # with two slots each set pushes out the one before the last
    assert generated(scheduler, {"two": 4.0})[1] == len(PROMPT) - 1


def test_an_adapter_that_is_written_over_is_another_one_once_it_is_loaded_again(tmp_path: Path) -> None:
    path = write_lora(tmp_path / "one.gguf", n_layers=2, n_embd=256, seed=1)
    one = LoraAdapter(name="one", path=str(path))
    first = loaded_with(tmp_path, one)
    try:
        before = first.model.adapters.facts((("one", 1.0),))
        os.utime(write_lora(path, n_layers=2, n_embd=256, seed=2), ns=(1, 1))
        assert first.model.adapters.facts((("one", 1.0),)) == before  # the one in memory is what was there
        again = loaded_with(tmp_path, one)
        try:
            assert again.model.adapters.facts((("one", 1.0),)) != before
            assert not np.array_equal(logits_after(again.context, None), logits_after(first.context, None))
        finally:
            again.close()
        path.unlink()
        assert first.model.adapters.facts((("one", 1.0),)) == before
    finally:
        first.close()


def test_a_name_that_is_none_fails_the_request_alone(loaded: LoadedModel) -> None:
    scheduler = Scheduler(loaded.context)
    wrong = Sequence(1, list(PROMPT), SamplingParams(max_tokens=2, lora={"three": 1.0}), 0, 0.0)
    right = Sequence(2, list(PROMPT), SamplingParams(max_tokens=2, lora={"one": 1.0}, ban=("<|im_end|>",)), 0, 0.0)
    scheduler.submit(wrong)
    scheduler.submit(right)
    while not scheduler.idle:
        scheduler.step()
    assert wrong.error == "the model has no adapter `three`: it has one, two"
    assert (wrong.finish_reason, right.finish_reason) == (FinishReason.ERROR, FinishReason.LENGTH)


def test_what_is_loaded_is_reported(loaded: LoadedModel, folder: Path) -> None:
    native = describe(loaded, "m.gguf", 1.0).native
    assert native is not None
    assert native.adapters == (
        AdapterReady("one", str(folder / "one.gguf"), 0.5),
        AdapterReady("two", str(folder / "two.gguf"), 0.0),
    )


def test_saved_states_know_the_adapters_file_and_scale(loaded: LoadedModel, folder: Path) -> None:
    facts = loaded.model.adapters.facts
    assert facts((("one", 1.0),)) != facts((("one", 0.5),))
    assert facts((("one", 1.0),)) != facts((("two", 1.0),))
    assert facts((("one", 1.0),)) == facts((("one", 1.0),))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_embd": 128}, "has incorrect shape"),
        ({"n_layers": 3}, "does not exist in base model"),
        ({"general__architecture": "gemma2"}, "model arch and LoRA arch mismatch"),
        ({"general__type": "model"}, "expect general.type to be 'adapter'"),
    ],
)
def test_an_adapter_of_something_else_is_refused_by_name(
    folder: Path, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    path = write_lora(tmp_path / "bad.gguf", **({"n_layers": 2, "n_embd": 256} | changes))  # pyright: ignore
    with pytest.raises(LoadError, match=message) as refused:
        loaded_with(folder, LoraAdapter(name="bad", path=str(path)))
    assert str(refused.value).startswith(f"the adapter bad ({path}) cannot be loaded: ")


def test_a_missing_or_cut_file_is_refused_and_the_process_lives(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="No such file"):
        loaded_with(folder, LoraAdapter(name="gone", path=str(tmp_path / "gone.gguf")))
    cut = tmp_path / "cut.gguf"
    cut.write_bytes((folder / "one.gguf").read_bytes()[:-4096])
    with pytest.raises(LoadError, match="cut"):
        loaded_with(folder, LoraAdapter(name="cut", path=str(cut)))
    loaded_with(folder).close()
