"""Synthetic models are whole, are what they say, and run in llama.cpp through our own loader."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

os.environ["GGML_NO_BACKTRACE"] = "1"

from app.domain.model import LoadOptions
from app.domain.sampling import SamplingParams
from app.engine.core.scheduler import Scheduler
from app.engine.core.sequence import Sequence
from app.engine.native import library
from app.engine.native.loader import load
from app.models.gguf import read_header
from tests.synthetic.shapes import SHAPES, Shape, tensors
from tests.synthetic.vocabulary import copied, made
from tests.synthetic.weights import QUANTS, data
from tests.synthetic.writer import write_model

SMALL = Shape(n_layers=2, n_embd=256, n_head=4, n_head_kv=2, n_ff=256, n_vocab=2000, n_ctx_train=512)


@pytest.mark.parametrize("quant", QUANTS)
def test_every_quantisation_is_a_model_of_its_shape(tmp_path: Path, quant: str) -> None:
    header = read_header(write_model(tmp_path / "m.gguf", SMALL, quant))
    assert header.quant.lower().startswith(quant)
    assert (header.n_layers, header.n_embd, header.n_head_kv, header.n_vocab) == (2, 256, 2, 2000)
    assert header.n_params == 2 * 2000 * 256 + 2 * (2 * 256 * 256 + 2 * 256 * 128 + 3 * 256 * 256 + 2 * 256) + 256


@pytest.mark.parametrize("quant", QUANTS)
def test_llama_cpp_generates_from_it_and_every_logit_is_finite(tmp_path: Path, quant: str) -> None:
    path = write_model(tmp_path / "m.gguf", SMALL, quant)
    library.start()
    loaded = load(str(path), LoadOptions(n_ctx=256, n_threads=1), lambda fraction: True)
    try:
        scheduler = Scheduler(loaded.context)
        prompt = loaded.model.vocab.tokenize(b"the tiny test")
        assert b"".join(loaded.model.vocab.pieces[token] for token in prompt) == b"the tiny test"
        sequence = Sequence(1, prompt, SamplingParams(seed=1, max_tokens=6), 4, 0.0)
        scheduler.submit(sequence)
        scheduler.step()
        logits = loaded.context.logits(len(prompt) - 1)
        assert np.isfinite(logits).all()
        assert 0.1 < logits.std() < 10
        while not scheduler.idle:
            scheduler.step()
        assert 1 <= len(sequence.generated) <= 6
    finally:
        loaded.close()


def test_a_vocabulary_is_copied_byte_by_byte(tmp_path: Path) -> None:
    first = write_model(tmp_path / "a.gguf", SMALL, "q4_0")
    keys, n_vocab = copied(first)
    assert n_vocab == 2000
    assert keys.keys() == made(2000).keys()
    second = write_model(tmp_path / "b.gguf", SMALL, "q4_0", vocabulary=first)
    assert copied(second) == (keys, 2000)


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    first = write_model(path, SMALL, "q8_0").read_bytes()
    assert write_model(path, SMALL, "q8_0").read_bytes() == first
    assert write_model(path, SMALL, "q8_0", seed=1).read_bytes() != first


def test_large_shapes_have_their_models_sizes() -> None:
    def n_params(name: str, n_vocab: int) -> int:
        shape = replace(SHAPES[name], n_vocab=n_vocab)
        return sum(int(np.prod(tensor.shape)) for tensor in tensors(shape, 2))

    assert n_params("135m", 49152) == 134_515_008
    assert n_params("1b", 128256) == 1_235_814_400
    assert n_params("8b", 128256) == 8_030_261_248


def test_rows_that_are_no_whole_blocks_are_refused() -> None:
    narrow = Shape(n_layers=1, n_embd=48, n_head=4, n_head_kv=2, n_ff=64, n_vocab=300)
    with pytest.raises(ValueError, match="blocks of 32"):
        list(data(tensors(narrow, QUANTS["q4_0"].kind)[0], np.random.default_rng(0)))
