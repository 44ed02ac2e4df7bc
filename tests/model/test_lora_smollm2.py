"""A made adapter on the real model, through the host: presets switch it, and its states on disk are its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.domain.conversation import Role
from app.domain.model import LoadOptions, LoraAdapter
from app.domain.sampling import SamplingParams
from app.engine.native import library
from app.engine.requests.service import ModelService
from app.engine.text.renderer import Renderer
from app.protocol.commands import ChatMessage, Generate, LoadModel
from tests.synthetic.lora import write_lora

pytestmark = pytest.mark.model

STORY = "Once upon a time there was a small lighthouse, and every night its keeper lit the lamp. " * 20


def replied(host: ModelService, number: int, lora: dict[str, float] | None) -> tuple[list[int], int]:
    """The greedy reply to a long message, and how much of the prompt came out of the cache."""
    params = SamplingParams(temperature=0, max_tokens=12, lora=lora)
    reply = host.submit(Generate(number, (ChatMessage(Role.USER, STORY),), params), 0.0)
    (scheduler, *_) = host.schedulers
    while not scheduler.idle:
        scheduler.step()
    assert not reply.sequence.error
    return reply.sequence.generated, reply.sequence.cache.n_cached


@pytest.mark.slow
def test_a_switch_changes_the_reply_and_the_way_back_restores_it(smollm2: Path, tmp_path: Path) -> None:
    library.start()
    path = write_lora(tmp_path / "style.gguf", n_layers=30, n_embd=576, strength=2.0)
    options = LoadOptions(n_ctx=1024, lora=(LoraAdapter(name="style", path=str(path)),))
    renderer = Renderer()
    cache = tmp_path / "cache"
    first = ModelService(LoadModel(str(smollm2), options), lambda fraction: True, renderer, cache)
    try:
        tuned, _ = replied(first, 1, None)
        plain, n_cached = replied(first, 2, {})
        assert n_cached == 0
        assert plain != tuned
        assert replied(first, 3, {"style": 0.0})[0] == plain
        assert replied(first, 4, {"style": 1.0}) == (tuned, replied(first, 5, None)[1])
    finally:
        first.close()
    again = ModelService(LoadModel(str(smollm2), options), lambda fraction: True, renderer, cache)
    try:
        half, n_cached = replied(again, 1, {"style": 0.5})
        assert n_cached == 0
        assert replied(again, 2, None)[1] > 256
        assert half != tuned
    finally:
        again.close()
        renderer.close()
