"""Models with two sets of RoPE factors: a state saved in a short window is not one for a long window."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ["GGML_NO_BACKTRACE"] = "1"

from app.domain.conversation import Role
from app.domain.model import LoadOptions
from app.domain.sampling import SamplingParams
from app.engine.native import library
from app.engine.requests.service import ModelService
from app.engine.text.renderer import Renderer
from app.protocol.commands import ChatMessage, Generate, LoadModel
from tests.synthetic import shapes
from tests.synthetic.writer import write_model

SMALL = shapes.Shape(n_layers=2, n_embd=256, n_head=4, n_head_kv=2, n_ff=256, n_vocab=2000, n_ctx_train=2048)
STORY = "abcdefgh " * 80


def n_restored(path: Path, cache: Path, n_ctx: int) -> int:
    """What a new life of the engine reads of the story that it may have seen before."""
    renderer = Renderer()
    host = ModelService(
        LoadModel(str(path), LoadOptions(n_ctx=n_ctx, n_threads=1)), lambda fraction: True, renderer, cache
    )
    try:
        asked = Generate(1, (ChatMessage(Role.USER, STORY),), SamplingParams(temperature=0, max_tokens=1))
        sequence = host.submit(asked, 0.0).sequence
        while not host.schedulers[0].idle:
            host.schedulers[0].step()
        assert not sequence.error
        return sequence.cache.n_restored
    finally:
        host.close()
        renderer.close()


def test_a_window_beyond_what_rope_was_made_for_has_states_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.start()
    plain = shapes.metadata
    extra = {"llama.rope.scaling.original_context_length": 600}
    monkeypatch.setattr(shapes, "metadata", lambda *given: plain(*given) | extra)
    path = write_model(tmp_path / "m.gguf", SMALL, "q8_0")
    assert n_restored(path, tmp_path / "cache", 512) == 0
    assert n_restored(path, tmp_path / "cache", 1024) == 0
    assert n_restored(path, tmp_path / "cache", 512) > 256
    assert n_restored(path, tmp_path / "cache", 2048) > 256
