import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import pytest

from app.client.engine import EngineState
from app.domain.conversation import Role
from app.domain.generation import FinishReason
from app.domain.model import LoadOptions
from app.domain.remote import RemoteModel
from app.domain.sampling import SamplingParams
from app.protocol.commands import ChatMessage, Generate, LoadModel
from app.protocol.events import (
    EngineLost,
    GenerationFinished,
    GenerationStarted,
    LoadFailed,
    LoadProgress,
    ModelReady,
    TokensGenerated,
)
from app.remote.backend import RemoteEngine
from app.remote.http import ServerConnection
from tests.fakes.http_server import Answer, FakeServer, as_json, as_stream, delta

CHAT = "/v1/chat/completions"
HELLO = as_stream(delta("Hel"), delta("lo"), delta(finish="stop"))


async def at_once(_: float) -> None:
    pass


@pytest.fixture
async def server() -> AsyncGenerator[FakeServer]:
    models = as_json({"data": [{"id": "m", "owned_by": "vllm", "max_model_len": 100}]})
    async with FakeServer({"/v1/models": models, CHAT: HELLO}) as server:
        yield server


@pytest.fixture
async def engine(server: FakeServer) -> AsyncGenerator[RemoteEngine]:
    engine = RemoteEngine(lambda model: ServerConnection(model, at_once))
    await load(engine, server)
    yield engine
    await engine.close()


async def load(engine: RemoteEngine, server: FakeServer, model: str = "m", n_ctx: int | None = None) -> list[Any]:
    options = LoadOptions(remote=RemoteModel(url=server.url, model=model), n_ctx=n_ctx)
    return [event async for event in engine.load(LoadModel("", options))]


def request(engine: RemoteEngine, **sampling: Any) -> Generate:
    params = SamplingParams(**{"top_k": 0, "min_p": 0.0, **sampling})
    return Generate(engine.next_request_id(), (ChatMessage(Role.USER, "Hi"),), params)


async def ask(engine: RemoteEngine, command: Generate) -> list[Any]:
    return [event async for event in engine.generate(command)]


def text(events: Sequence[Any]) -> str:
    return "".join(event.text for event in events if isinstance(event, TokensGenerated))


async def test_a_model_is_ready_under_its_window(server: FakeServer) -> None:
    engine = RemoteEngine()
    assert engine.state is EngineState.NO_MODEL
    events = await load(engine, server)
    assert events[0] == LoadProgress(0.0)
    assert isinstance(events[1], ModelReady)
    assert (events[1].title, events[1].n_ctx, events[1].path) == ("m", 100, f"openai:{server.url}#m")
    assert events[1].server == (f"vLLM at 127.0.0.1:{server.port}",)
    assert events[1].native is None
    assert (engine.state, engine.model, engine.hello) == (EngineState.READY, events[1], None)
    await engine.close()
    assert (engine.state, engine.model) == (EngineState.LOST, None)


async def test_the_window_of_the_file_is_the_users_word(server: FakeServer) -> None:
    engine = RemoteEngine()
    assert (await load(engine, server, n_ctx=64))[-1].n_ctx == 64
    await engine.close()


async def test_a_server_that_refuses_is_a_load_that_failed(server: FakeServer) -> None:
    server.answers["/v1/models"] = [as_json({"error": "who?"}, 401)]
    engine = RemoteEngine()
    events = await load(engine, server)
    assert isinstance(events[-1], LoadFailed)
    assert events[-1].reason == "127.0.0.1 wants a key (HTTP 401): who?"
    assert engine.state is EngineState.NO_MODEL


async def test_a_load_that_fails_leaves_no_model(engine: RemoteEngine, server: FakeServer) -> None:
    server.answers["/v1/models"] = [as_json({}, 500)]
    assert isinstance((await load(engine, server))[-1], LoadFailed)
    assert (engine.state, engine.model) == (EngineState.NO_MODEL, None)


async def test_a_reply_streams(engine: RemoteEngine, server: FakeServer) -> None:
    command = request(engine)
    events = await ask(engine, command)
    assert [type(event) for event in events] == [
        GenerationStarted,
        TokensGenerated,
        TokensGenerated,
        GenerationFinished,
    ]
    assert {event.request_id for event in events} == {command.request_id}
    assert text(events) == "Hello"
    assert server.bodies(CHAT)[0]["messages"] == [{"role": "user", "content": "Hi"}]


async def test_replies_share_a_connection(engine: RemoteEngine, server: FakeServer) -> None:
    n_before = server.n_connections
    for _ in range(3):
        await ask(engine, request(engine))
    assert server.n_connections == n_before


async def test_an_error_in_a_stream_does_not_show_the_key(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    engine = RemoteEngine()
    options = LoadOptions(remote=RemoteModel(url=server.url, model="m", api_key_env="MY_KEY"))
    async for _ in engine.load(LoadModel("", options)):
        pass
    server.answers[CHAT] = [as_stream(delta("a"), {"error": {"message": "key sk-very-secret has expired"}})]
    end = (await ask(engine, request(engine)))[-1]
    assert end.error == "the server reports an error: key *** has expired"
    await engine.close()


async def test_a_seed_is_chosen_where_none_is_given(engine: RemoteEngine, server: FakeServer) -> None:
    events = await ask(engine, request(engine))
    assert events[0].seed == server.bodies(CHAT)[0]["seed"]
    assert (await ask(engine, request(engine, seed=5)))[0].seed == 5


async def test_parameters_without_effect_are_said_once(engine: RemoteEngine, server: FakeServer) -> None:
    notices = [(await ask(engine, request(engine, dry_multiplier=0.5)))[0].notices for _ in range(2)]
    assert notices == [("vLLM does not take `dry_multiplier`: no effect here",), ()]


async def test_a_constraint_that_is_not_taken_ends_the_request(engine: RemoteEngine, server: FakeServer) -> None:
    events = await ask(engine, request(engine, lark="start: x"))
    assert [event.error for event in events] == ["vLLM takes no `lark`"]
    assert server.bodies(CHAT) == []


async def test_a_parameter_that_is_refused_is_left_out_and_said_once(engine: RemoteEngine, server: FakeServer) -> None:
    refusal = as_json({"error": {"message": "logprobs is not supported"}}, 400)
    server.answers[CHAT] = [refusal, HELLO]
    events = await ask(engine, request(engine))
    assert text(events) == "Hello"
    assert events[0].notices == ("vLLM does not take `logprobs`, `top_logprobs`: no effect here",)
    assert "logprobs" not in server.bodies(CHAT)[1]
    assert (await ask(engine, request(engine)))[0].notices == ()
    assert len(server.bodies(CHAT)) == 3


async def test_a_server_that_refuses_everything_is_given_up(engine: RemoteEngine, server: FakeServer) -> None:
    names = ["logprobs", "seed", "min_p", "top_k", "temperature"]
    server.answers[CHAT] = [as_json({"error": name}, 400) for name in names]
    assert (await ask(engine, request(engine)))[-1].error == "the server refuses one parameter after another"


async def test_a_refusal_that_names_no_parameter_is_the_end(engine: RemoteEngine, server: FakeServer) -> None:
    server.answers[CHAT] = [as_json({"error": {"message": "no chat template"}}, 400)]
    events = await ask(engine, request(engine))
    assert [type(event) for event in events] == [GenerationFinished]
    assert events[0].error == "127.0.0.1 refuses the request (HTTP 400): no chat template"


@pytest.mark.parametrize(
    "error",
    [
        {"type": "exceed_context_size_error", "message": "the request exceeds the available size"},
        {"code": "context_length_exceeded", "message": "too long"},
        {"message": "This model's maximum context length is 100 tokens"},
    ],
    ids=["llama-server", "OpenAI", "vLLM"],
)
async def test_a_prompt_that_is_too_long_is_that(engine: RemoteEngine, server: FakeServer, error: object) -> None:
    server.answers[CHAT] = [as_json({"error": error}, 400)]
    assert (await ask(engine, request(engine)))[-1].finish_reason is FinishReason.CONTEXT


HOSTILE: dict[str, tuple[Answer, str, FinishReason, str]] = {
    "no [DONE]": (as_stream(delta("a"), delta(finish="stop"), done=False), "a", FinishReason.STOP, ""),
    "[DONE] and no reason": (as_stream(delta("a")), "a", FinishReason.STOP, ""),
    "neither": (
        as_stream(delta("a"), done=False),
        "a",
        FinishReason.ERROR,
        "the server closed the connection before the reply was complete",
    ),
    "the connection breaks off": (
        as_stream(delta("a"), done=False, broken=True),
        "a",
        FinishReason.ERROR,
        "the connection to 127.0.0.1 broke off",
    ),
    "`stream` is ignored": (
        as_json({"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]}),
        "a",
        FinishReason.STOP,
        "",
    ),
    "an error in the stream": (
        as_stream(delta("a"), {"error": {"message": "out of memory"}}),
        "a",
        FinishReason.ERROR,
        "the server reports an error: out of memory",
    ),
    "a web page": (Answer([b"<html>"]), "", FinishReason.ERROR, "the server answers with a web page, not with JSON"),
    "no JSON": (
        Answer([b'data: {"choices": [{"delta": {"content": "a"}}]}\n\ndata: {x\n\n']),
        "a",
        FinishReason.ERROR,
        "the server sent something that is no JSON: {x",
    ),
    "an endless line": (
        Answer([b"data: ", *[b"x" * (1 << 16)] * 17]),
        "",
        FinishReason.ERROR,
        "the server sent a line of more than 1 MiB",
    ),
    "nothing at all": (
        Answer([]),
        "",
        FinishReason.ERROR,
        "the server closed the connection before the reply was complete",
    ),
    "null content": (
        as_stream({"choices": [{"delta": {"role": "assistant", "content": None}}]}, delta("a"), delta(finish="stop")),
        "a",
        FinishReason.STOP,
        "",
    ),
    "comments and pings": (
        Answer([b": PROCESSING\n\nevent: ping\ndata: {}\n\n", *as_stream(delta("a"), delta(finish="stop")).parts]),
        "a",
        FinishReason.STOP,
        "",
    ),
    "a busy server that says no time": (
        as_json({}, 429),
        "",
        FinishReason.ERROR,
        "127.0.0.1 has had too many requests",
    ),
}


@pytest.mark.parametrize(("answer", "said", "reason", "error"), HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_stream_has_an_outcome_and_keeps_its_text(
    engine: RemoteEngine, server: FakeServer, answer: Answer, said: str, reason: FinishReason, error: str
) -> None:
    server.answers[CHAT] = [answer]
    events = await ask(engine, request(engine))
    assert text(events) == said
    assert isinstance(events[-1], GenerationFinished)
    assert events[-1].finish_reason is reason
    assert events[-1].error.startswith(error)
    assert bool(error) == bool(events[-1].error)
    assert engine.state is EngineState.READY


async def test_an_abort_closes_the_connection_and_keeps_the_text(engine: RemoteEngine, server: FakeServer) -> None:
    server.answers[CHAT] = [Answer([b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n', asyncio.Event()])]
    command, events = request(engine), list[Any]()
    async with aclosing(engine.generate(command)) as stream:
        async for event in stream:
            events.append(event)
            if isinstance(event, TokensGenerated):
                engine.abort(command.request_id)
    assert (text(events), events[-1].finish_reason) == ("a", FinishReason.ABORT)
    await server.until(lambda: server.n_closed)


async def test_an_abort_before_the_answer_ends_it(engine: RemoteEngine, server: FakeServer) -> None:
    server.answers[CHAT] = [Answer([asyncio.Event()])]
    command = request(engine)
    asked = asyncio.create_task(ask(engine, command))
    await server.until(lambda: server.bodies(CHAT))
    engine.abort(command.request_id)
    assert [event.finish_reason for event in await asked] == [FinishReason.ABORT]


async def test_a_generator_that_is_closed_leaves_nothing_behind(engine: RemoteEngine, server: FakeServer) -> None:
    server.answers[CHAT] = [Answer([b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n', asyncio.Event()])]
    async with aclosing(engine.generate(request(engine))) as stream:
        await anext(stream)
    await server.until(lambda: server.n_closed)


async def test_requests_run_side_by_side(engine: RemoteEngine, server: FakeServer) -> None:
    go = asyncio.Event()
    late = Answer([go, b'data: {"choices": [{"delta": {"content": "b"}, "finish_reason": "stop"}]}\n\n'])
    server.answers[CHAT] = [late, HELLO]
    slow = asyncio.create_task(ask(engine, request(engine)))
    await server.until(lambda: server.bodies(CHAT))
    assert text(await ask(engine, request(engine))) == "Hello"
    go.set()
    assert text(await slow) == "b"


async def test_a_server_killed_in_mid_reply_and_started_again(engine: RemoteEngine, server: FakeServer) -> None:
    server.answers[CHAT] = [Answer([b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n', asyncio.Event()]), HELLO]
    events: list[Any] = []
    async for event in engine.generate(request(engine)):
        events.append(event)
        if isinstance(event, TokensGenerated):
            await server.stop()
    assert text(events) == "a"
    assert events[-1].error.startswith("the connection to 127.0.0.1 broke off")
    away = await ask(engine, request(engine))
    assert away[-1].error.startswith("cannot reach")
    await server.start()
    assert text(await ask(engine, request(engine))) == "Hello"


async def test_without_a_model_and_after_the_end_nothing_is_sent() -> None:
    engine = RemoteEngine()
    assert (await ask(engine, request(engine)))[0].error == "no model is loaded"
    await engine.close()
    assert await ask(engine, request(engine)) == [EngineLost(None, "closed")]


async def test_an_abort_ends_a_wait_for_a_busy_server(server: FakeServer) -> None:
    waits = asyncio.Event()

    async def sleep(_: float) -> None:
        waits.set()
        await asyncio.Event().wait()

    engine = RemoteEngine(lambda model: ServerConnection(model, sleep))
    await load(engine, server)
    server.answers[CHAT] = [as_json({}, 429, Retry_After="30")]
    command = request(engine)
    asked = asyncio.create_task(ask(engine, command))
    await waits.wait()
    engine.abort(command.request_id)
    assert [event.finish_reason for event in await asked] == [FinishReason.ABORT]
    await engine.close()


async def test_closing_ends_what_runs(engine: RemoteEngine, server: FakeServer) -> None:
    server.answers[CHAT] = [Answer([asyncio.Event()])]
    asked = asyncio.create_task(ask(engine, request(engine)))
    await server.until(lambda: server.bodies(CHAT))
    await engine.close()
    assert (await asked)[-1].finish_reason is FinishReason.ABORT
