"""Adapters in a real worker: the load reports them, and a wrong one fails the load or the request alone."""

from __future__ import annotations

import pytest

from app.client.worker_client import WorkerClient
from app.domain.generation import FinishReason
from app.domain.model import LoadOptions, LoraAdapter
from app.protocol.commands import LoadModel
from app.protocol.events import AdapterReady, GenerationFinished, LoadFailed, ModelReady
from tests.fakes.smollm2 import smollm2_path
from tests.process.streams import ask, load
from tests.synthetic.lora import write_lora

pytestmark = pytest.mark.model


def model(*adapters: LoraAdapter) -> LoadModel:
    return LoadModel(str(smollm2_path()), LoadOptions(n_ctx=512, lora=adapters))


async def finished(client: WorkerClient, lora: dict[str, float] | None) -> GenerationFinished:
    last = (await ask(client, temperature=0, max_tokens=3, lora=lora))[-1]
    assert isinstance(last, GenerationFinished)
    return last


async def test_a_worker_outlives_wrong_files_and_wrong_names(client, tmp_path):
    await client.start()
    other = write_lora(tmp_path / "other.gguf", n_layers=2, n_embd=64)
    failed = await load(client, model(LoraAdapter(name="other", path=str(other))))
    assert isinstance(failed, LoadFailed)
    assert failed.reason.startswith(f"the adapter other ({other}) cannot be loaded: ")
    assert "wrong base model" in failed.reason

    good = write_lora(tmp_path / "style.gguf", n_layers=30, n_embd=576)
    ready = await load(client, model(LoraAdapter(name="style", path=str(good), scale=0.5)))
    assert isinstance(ready, ModelReady)
    assert ready.native.adapters == (AdapterReady("style", str(good), 0.5),)

    wrong = await finished(client, {"stile": 1.0})
    assert (wrong.finish_reason, wrong.error) == (
        FinishReason.ERROR,
        "the model has no adapter `stile`: it has style",
    )
    for lora in (None, {}, {"style": 1.0}):
        assert (await finished(client, lora)).finish_reason in (FinishReason.LENGTH, FinishReason.STOP)
