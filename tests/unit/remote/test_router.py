"""One engine for every model: the worker here, a server for the others."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from app.client.engine import EngineState, Forgetful, Queryable, Restartable, Steerable, capable, forget
from app.domain.conversation import Role
from app.domain.model import LoadOptions
from app.domain.remote import RemoteModel
from app.domain.sampling import SamplingParams
from app.protocol.commands import ChatMessage, Generate, LoadModel
from app.remote.router import RoutingEngine
from tests.fakes.scripted_core import ScriptedCore
from tests.fakes.scripted_engine import ScriptedEngine

HERE, THERE = LoadModel("/a.gguf"), LoadModel("", LoadOptions(remote=RemoteModel(url="http://h/v1", model="m")))


@pytest.fixture
async def parts() -> AsyncGenerator[tuple[RoutingEngine, ScriptedEngine, ScriptedCore]]:
    local, remote = ScriptedEngine(["here"], loaded=False), ScriptedCore(["there"], loaded=False)
    engine = RoutingEngine(local, lambda: remote)
    yield engine, local, remote
    await engine.close()


async def load(engine: RoutingEngine, command: LoadModel) -> None:
    async for _ in engine.load(command):
        pass


async def ask(engine: RoutingEngine) -> list[Any]:
    command = Generate(engine.next_request_id(), (ChatMessage(Role.USER, "hi"),), SamplingParams())
    return [event async for event in engine.generate(command)]


async def test_each_model_is_loaded_where_it_runs(parts: tuple[RoutingEngine, ScriptedEngine, ScriptedCore]) -> None:
    engine, local, remote = parts
    assert engine.serving is local
    await load(engine, HERE)
    assert (engine.serving, engine.state, engine.model) == (local, EngineState.READY, local.model)
    await load(engine, THERE)
    assert (engine.serving, engine.model, remote.loads) == (remote, remote.model, [THERE])
    await ask(engine)
    assert (len(local.requests), len(remote.requests)) == (0, 1)


async def test_it_can_what_the_serving_engine_can(parts: tuple[RoutingEngine, ScriptedEngine, ScriptedCore]) -> None:
    engine, local, _ = parts
    kinds = (Steerable, Queryable, Restartable)
    assert [capable(engine, kind) for kind in kinds] == [local, local, local]
    await load(engine, THERE)
    assert [capable(engine, kind) for kind in kinds] == [None, None, None]


async def test_a_worker_gives_its_memory_back_once(parts: tuple[RoutingEngine, ScriptedEngine, ScriptedCore]) -> None:
    engine, local, _ = parts
    await load(engine, THERE)
    assert local.n_restarts == 0, "it has loaded nothing"
    await load(engine, HERE)
    await load(engine, THERE)
    await load(engine, THERE)
    assert local.n_restarts == 1


async def test_saved_states_are_deleted_whoever_serves(
    parts: tuple[RoutingEngine, ScriptedEngine, ScriptedCore],
) -> None:
    engine, local, _ = parts
    await load(engine, THERE)
    assert isinstance(engine, Forgetful)
    forget(engine, (3,))
    assert local.forgotten == [3]


async def test_ids_of_requests_never_meet(parts: tuple[RoutingEngine, ScriptedEngine, ScriptedCore]) -> None:
    engine, local, _ = parts
    first = engine.next_request_id()
    await load(engine, THERE)
    assert len({first, engine.next_request_id(), local.next_request_id()}) == 3


async def test_an_abort_reaches_a_request_of_either(parts: tuple[RoutingEngine, ScriptedEngine, ScriptedCore]) -> None:
    engine, local, remote = parts
    await load(engine, THERE)
    engine.abort(7)
    assert (local.aborted, remote.aborted) == ([7], [7])


async def test_closing_ends_both(parts: tuple[RoutingEngine, ScriptedEngine, ScriptedCore]) -> None:
    engine, local, remote = parts
    await load(engine, THERE)
    await engine.close()
    assert (local.closed, remote.closed) == (True, True)
