"""The raw measurement in a real worker, on a synthetic model small enough for every run of the tests."""

import os
from contextlib import aclosing

import pytest

from app.domain.model import LoadOptions
from app.protocol.commands import Bench, LoadModel
from app.protocol.events import BenchFinished, BenchMeasured, EngineLost, ModelReady
from tests.process.streams import collect, load
from tests.synthetic.shapes import SHAPES
from tests.synthetic.writer import write_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> LoadModel:
    path = write_model(tmp_path_factory.mktemp("models") / "tiny.gguf", SHAPES["tiny"], "q4_0")
    return LoadModel(str(path), LoadOptions(n_ctx=512, n_threads=1))


@pytest.mark.parametrize(
    ("n_prompt", "n_gen", "depth", "warm_up"),
    [(64, 0, 0, True), (0, 8, 0, True), (32, 0, 100, False), (0, 4, 100, True)],
)
async def test_a_measurement_has_one_event_a_repetition(client, tiny, n_prompt, n_gen, depth, warm_up):
    assert isinstance(await load(client, tiny), ModelReady)
    command = Bench(client.next_request_id(), n_prompt, n_gen, depth, n_reps=3, warm_up=warm_up)
    *measured, finished = await collect(client.bench(command))
    assert finished == BenchFinished(command.request_id)
    assert [type(event) for event in measured] == [BenchMeasured] * 3
    assert all(0 < event.seconds < 5 for event in measured)


async def test_what_cannot_be_measured_says_why_and_harms_nothing(client, tiny):
    await load(client, tiny)
    both = await collect(client.bench(Bench(client.next_request_id(), 1, 1)))
    assert [event.error for event in both] == ["one of n_prompt and n_gen must be 0"]
    good = await collect(client.bench(Bench(client.next_request_id(), 8, 0)))
    assert good[-1].error == ""


async def test_without_a_model_it_ends_at_once(client):
    events = await collect(client.bench(Bench(1, 8, 0)))
    assert events == [BenchFinished(1, "no model is loaded")]


async def test_a_measurement_left_early_ends_and_the_worker_lives(client, tiny):
    await load(client, tiny)
    pid = client.hello.pid
    async with aclosing(client.bench(Bench(client.next_request_id(), 0, 64, n_reps=100_000))) as stream:
        assert isinstance(await anext(stream), BenchMeasured)
    assert (await collect(client.bench(Bench(client.next_request_id(), 8, 0))))[-1].error == ""
    assert client.hello.pid == pid


async def test_the_death_of_the_worker_ends_it(client, tiny):
    await load(client, tiny)
    events = []
    async for event in client.bench(Bench(client.next_request_id(), 0, 64, n_reps=100_000)):
        if not events:
            os.kill(client.hello.pid, 9)
        events.append(event)
    assert isinstance(events[-1], EngineLost)
