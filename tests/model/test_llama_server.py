"""The remote engine against llama.cpp's own server, built from the source of the pinned package; `pytest -m slow`."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

import pytest

from app.domain.conversation import Role
from app.domain.generation import FinishReason
from app.domain.model import LoadOptions
from app.domain.remote import RemoteModel
from app.domain.sampling import SamplingParams
from app.protocol.commands import ChatMessage, Generate, LoadModel
from app.protocol.events import GenerationFinished, GenerationStarted, PrefillProgress, TokensGenerated
from app.remote.backend import RemoteEngine
from app.remote.http import ServerConnection
from tests.bench.llama_server import Server, build
from tests.fakes.smollm2 import smollm2_path

pytestmark = [pytest.mark.slow, pytest.mark.model, pytest.mark.timeout(400)]
N_CTX = 512


def run(port: int = 0) -> Server:
    return Server(build(), smollm2_path(), n_threads=1, n_slots=2, n_ctx=N_CTX, port=port)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with run() as server:
        yield server


async def loaded(server: Server) -> RemoteEngine:
    engine = RemoteEngine()
    options = LoadOptions(remote=RemoteModel(url=server.url, model="any"))
    async for _ in engine.load(LoadModel("", options)):
        pass
    assert engine.model is not None
    return engine


@pytest.fixture
async def engine(server: Server) -> AsyncGenerator[RemoteEngine]:
    engine = await loaded(server)
    yield engine
    await engine.close()


async def ask(engine: RemoteEngine, text: str, **sampling: Any) -> list[Any]:
    params = SamplingParams(**{"seed": 1, "max_tokens": 16, **sampling})
    command = Generate(engine.next_request_id(), (ChatMessage(Role.USER, text),), params, trace_top_k=5)
    return [event async for event in engine.generate(command)]


def text(events: list[Any]) -> str:
    return "".join(event.text for event in events if isinstance(event, TokensGenerated))


async def test_it_says_what_it_is(engine: RemoteEngine) -> None:
    assert engine.model is not None
    assert engine.model.n_ctx == N_CTX
    assert engine.model.server[0].startswith("llama-server b")
    assert engine.model.server[1] == "Q4_1 · 135 M parameters · 2 slots"


async def test_a_reply_has_tokens_progress_and_the_servers_times(engine: RemoteEngine) -> None:
    events = await ask(engine, "Tell me of the émigré café in Genève.")
    tokens = [token for event in events if isinstance(event, TokensGenerated) for token in event.tokens]
    assert isinstance(events[0], GenerationStarted)
    assert events[0].n_prompt > 30
    assert [event for event in events if isinstance(event, PrefillProgress)][-1].n_done == events[0].n_prompt
    assert len(tokens) > 8
    assert sum(token.n_bytes for token in tokens) == len(text(events).encode())
    assert all(token.id >= 0 and 0 < token.p <= 1 and len(token.top) == 5 for token in tokens)
    assert all(math.isnan(token.entropy) for token in tokens)
    end = events[-1]
    assert (end.usage.n_prompt, end.usage.n_generated) == (events[0].n_prompt, 16)
    assert (end.finish_reason, end.timings.app_clock) == (FinishReason.LENGTH, ("ttft_ms",))
    assert min(end.timings.prefill_ms, end.timings.decode_ms, end.timings.decode_tps, end.timings.ttft_ms) > 0


async def test_what_was_read_before_is_cached(engine: RemoteEngine) -> None:
    await ask(engine, "Count the stars of the southern sky.")
    again = (await ask(engine, "Count the stars of the southern sky."))[-1]
    assert again.usage.n_cached == again.usage.n_prompt - 1


async def test_a_seed_repeats_a_reply(engine: RemoteEngine) -> None:
    # The first one warms the cache: a prefill in other chunks may round otherwise.
    _, one, two = [text(await ask(engine, "Invent a name.", seed=7)) for _ in range(3)]
    assert one == two


async def test_parameters_have_their_effect(engine: RemoteEngine) -> None:
    question = "What is the capital of France?"
    plain = await ask(engine, question, temperature=0.0)
    first = next(event for event in plain if isinstance(event, TokensGenerated)).tokens[0]
    banned = await ask(engine, question, temperature=0.0, ban=(f"#{first.id}",))
    assert not text(banned).startswith(first.text)
    word = text(plain).split()[2]
    stopped = await ask(engine, question, temperature=0.0, stop=(word,))
    assert text(stopped) == text(plain).partition(word)[0]
    assert stopped[-1].finish_reason is FinishReason.STOP
    assert stopped[0].notices == ()


async def test_a_schema_and_a_grammar_are_held_to(engine: RemoteEngine) -> None:
    schema = json.dumps({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
    answer = json.loads(text(await ask(engine, "Give a number.", json_schema=schema, max_tokens=40)))
    assert isinstance(answer["n"], int)
    assert text(await ask(engine, "Yes or no?", grammar='root ::= "yes" | "no"')) in ("yes", "no")


async def test_a_prompt_that_is_too_long_is_refused_as_that(engine: RemoteEngine) -> None:
    end = (await ask(engine, "word " * N_CTX))[-1]
    assert end.finish_reason is FinishReason.CONTEXT
    assert "context size" in end.error


async def test_an_abort_frees_the_server(server: Server, engine: RemoteEngine) -> None:
    connection = ServerConnection(RemoteModel(url=server.url))
    params = SamplingParams(max_tokens=400, temperature=0.0)
    command = Generate(engine.next_request_id(), (ChatMessage(Role.USER, "Write a long story."),), params)
    async with aclosing(engine.generate(command)) as events:
        async for event in events:
            if isinstance(event, TokensGenerated):
                engine.abort(command.request_id)
            last = event
    assert last.finish_reason is FinishReason.ABORT
    # Two slots: both answer at once only where the first request has left its own.
    assert text(await ask(engine, "Hi", max_tokens=4))
    await connection.close()


async def test_a_server_killed_in_mid_reply_and_started_again() -> None:
    with run() as server:
        engine = await loaded(server)
        params = SamplingParams(max_tokens=400, temperature=0.0)
        command = Generate(engine.next_request_id(), (ChatMessage(Role.USER, "Write a long story."),), params)
        events: list[Any] = []
        async for event in engine.generate(command):
            events.append(event)
            if isinstance(event, TokensGenerated) and len(events) > 8:
                port = server.kill()
    assert text(events)
    assert isinstance(events[-1], GenerationFinished)
    assert (events[-1].finish_reason, events[-1].usage.n_generated > 4) == (FinishReason.ERROR, True)
    assert "broke off" in events[-1].error
    with run(port):
        assert text(await ask(engine, "Hi", max_tokens=4))
        await engine.close()
