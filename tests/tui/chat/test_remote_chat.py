"""The whole chat over a server: what it says is shown, what it does not say is blank, what it cannot do is hidden."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from app.config.catalogue import Catalogue
from app.domain.conversation import ReplyState
from app.domain.model import LoadOptions, ModelSpec
from app.domain.remote import RemoteModel
from app.remote.backend import RemoteEngine
from app.remote.http import ServerConnection
from app.remote.router import RoutingEngine
from app.tui.app import TokscopeApp
from app.tui.chat.screen import ChatScreen
from app.tui.inspector.screen import InspectorScreen
from tests.fakes.chat_app import answered, contents, drawn, make_app, make_catalogue, ready, until
from tests.fakes.http_server import Answer, FakeServer, as_json, as_stream, delta
from tests.fakes.scripted_engine import ScriptedEngine

CHAT = "/v1/chat/completions"
HIDDEN = {
    *("restart", "step", "branches", "rewrite", "continue", "speculate", "record_stages"),
    *("inspect_sampler", "inspect_prompt", "watch_speculation", "watch_cells"),
}
FIRST = b'data: {"choices": [{"delta": {"content": "one two"}}]}\n\n'


async def at_once(_: float) -> None:
    pass


def listing(owner: str = "vllm", **facts: Any) -> Answer:
    return as_json({"data": [{"id": "m", "owned_by": owner, **facts}]})


@pytest.fixture
async def server() -> AsyncGenerator[FakeServer]:
    answers = {"/v1/models": listing(max_model_len=100), CHAT: as_stream(delta("Hello."), delta(finish="stop"))}
    async with FakeServer(answers) as server:
        yield server


def remote_catalogue(folder: Path, server: FakeServer) -> Catalogue:
    remote = LoadOptions(remote=RemoteModel(url=server.url, model="m"))
    models = {"big": ModelSpec(name="big", title="Big", source="openai:x", options=remote)}
    return Catalogue(models=models | make_catalogue(folder).models, default="big", problems=[])


def make_remote(folder: Path, server: FakeServer, local: ScriptedEngine | None = None, **settings: Any) -> TokscopeApp:
    engine = RoutingEngine(
        local or ScriptedEngine(loaded=False), lambda: RemoteEngine(lambda model: ServerConnection(model, at_once))
    )
    return make_app(folder, engine, catalogue=remote_catalogue(folder, server), **settings)


def hidden(chat: ChatScreen) -> set[str]:
    return {name for name in chat.commands if not chat.keymap.offers(name)}


def panels(chat: ChatScreen) -> str:
    return "\n".join(chat.panels.shown)


def text_of(app: TokscopeApp) -> str:
    """All that is on the screen."""
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


async def test_a_message_is_answered_and_what_the_engine_cannot_do_is_hidden(
    tmp_path: Path, server: FakeServer
) -> None:
    app = make_remote(tmp_path, server)
    async with app.run_test(size=(140, 40)) as pilot:
        chat = await ready(app)
        assert hidden(chat) == HIDDEN
        await pilot.press(*"hi", "enter")
        await answered(chat)
        assert contents(chat) == ["hi", "Hello."]
        assert chat.chat.session.branch[1].state is ReplyState.DONE
        assert server.bodies(CHAT)[0]["messages"][-1] == {"role": "user", "content": "hi"}
        await pilot.press("f4", "f6", "f9")
        assert app.screen is chat


async def test_a_parameter_that_the_server_does_not_take_is_said_once(tmp_path: Path, server: FakeServer) -> None:
    server.answers["/v1/models"] = [listing("somebody")]
    app = make_remote(tmp_path, server)
    async with app.run_test(size=(140, 40)) as pilot:
        chat = await ready(app)
        for n in (2, 4):
            await pilot.press(*"hi", "enter")
            await answered(chat, n)
        assert drawn(chat).count("OpenAI API does not take `min_p`, `repeat_penalty`, `top_k`: no effect here") == 1


async def test_models_here_and_there_take_turns(tmp_path: Path, server: FakeServer) -> None:
    local = ScriptedEngine(["From here."], loaded=False)
    app = make_remote(tmp_path, server, local)
    async with app.run_test(size=(140, 40)) as pilot:
        chat = await ready(app)
        await pilot.press(*"hi", "enter")
        await answered(chat)
        chat.loads.load("tiny", chosen=True)
        await until(lambda: chat.loader.ready and not hidden(chat))
        await pilot.press(*"hi", "enter")
        await answered(chat, 4)
        chat.loads.load("big", chosen=True)
        await until(lambda: chat.loader.ready and hidden(chat) == HIDDEN)
        assert local.n_restarts == 1, "a worker whose place a server takes gives its memory back"
        await pilot.press(*"hi", "enter")
        await answered(chat, 6)
        assert contents(chat)[1::2] == ["Hello.", "From here.", "Hello."]


async def test_a_server_that_is_away_fails_the_load_and_says_so(tmp_path: Path, server: FakeServer) -> None:
    await server.stop()
    app = make_remote(tmp_path, server)
    async with app.run_test(size=(140, 40)):
        await until(lambda: app.screen_of_chat is not None and app.screen_of_chat.loader.status.error)
        assert app.screen_of_chat is not None
        assert app.screen_of_chat.loader.status.error.startswith("cannot reach http://127.0.0.1")


async def test_a_server_killed_in_mid_reply_keeps_its_text_and_answers_when_it_is_back(
    tmp_path: Path, server: FakeServer
) -> None:
    server.answers[CHAT] = [Answer([FIRST, asyncio.Event()]), as_stream(delta("Back."), delta(finish="stop"))]
    app = make_remote(tmp_path, server)
    async with app.run_test(size=(140, 40)) as pilot:
        chat = await ready(app)
        await pilot.press(*"count", "enter")
        await until(lambda: chat.transcript.last_reply() == "one two")
        await server.stop()
        await answered(chat)
        reply = chat.chat.session.branch[1]
        assert (reply.content, reply.state) == ("one two", ReplyState.FAILED)
        await until(lambda: "broke off" in drawn(chat))
        await pilot.press(*"and", "enter")
        await until(lambda: "What you wrote is back in the composer" in drawn(chat))
        assert "cannot reach" in drawn(chat)
        await server.start()
        await pilot.press("enter")
        await answered(chat, 4)
        assert contents(chat)[-1] == "Back."


async def test_stopping_keeps_the_text_and_ends_the_request_at_the_server(tmp_path: Path, server: FakeServer) -> None:
    server.answers[CHAT] = [Answer([FIRST, asyncio.Event()])]
    app = make_remote(tmp_path, server)
    async with app.run_test(size=(140, 40)) as pilot:
        chat = await ready(app)
        await pilot.press(*"count", "enter")
        await until(lambda: chat.transcript.last_reply() == "one two")
        await pilot.press("escape")
        await until(lambda: not chat.chat.running)
        assert chat.chat.session.branch[1].state is ReplyState.STOPPED
        await server.until(lambda: server.n_closed)


LOGPROBS = {
    "content": [
        {
            "token": "Hello.",
            "logprob": -0.105,
            "bytes": list(b"Hello."),
            "top_logprobs": [{"token": "Hello.", "logprob": -0.105}, {"token": "Hi", "logprob": -2.303}],
        }
    ]
}


async def test_the_panels_show_what_the_server_says_and_mark_what_the_app_measured(
    tmp_path: Path, server: FakeServer
) -> None:
    said = {"choices": [{"delta": {"content": "Hello."}, "logprobs": LOGPROBS, "finish_reason": "stop"}]}
    details = {"prompt_tokens_details": {"cached_tokens": 2}}
    server.answers[CHAT] = [
        as_stream(said, {"choices": [], "usage": {"prompt_tokens": 20, "completion_tokens": 2, **details}})
    ]
    app = make_remote(tmp_path, server, show_panels=True)
    async with app.run_test(size=(140, 60)) as pilot:
        chat = await ready(app)
        await pilot.press(*"hi", "enter")
        await answered(chat)
        await until(lambda: "end of turn" in panels(chat))
        shown = panels(chat)
        assert "18 new + 2 cached" in shown
        assert "too few new tokens" not in shown
        assert "22 of 100" in shown
        assert "90 %" in shown
        assert "Hi" in shown
        assert "ms · app's clock" in shown
        assert "nan" not in shown


async def test_without_any_figure_the_panels_are_blank_and_not_zero(tmp_path: Path, server: FakeServer) -> None:
    server.answers["/v1/models"] = [as_json({}, 404)]
    app = make_remote(tmp_path, server, show_panels=True)
    async with app.run_test(size=(140, 60)) as pilot:
        chat = await ready(app)
        await pilot.press(*"hi", "enter")
        await answered(chat)
        await until(lambda: "end of turn" in panels(chat))
        shown = panels(chat)
        assert "0 tokens" not in shown
        assert "0 of 0" not in shown


async def test_the_inspector_shows_what_there_is(tmp_path: Path, server: FakeServer) -> None:
    said = {"choices": [{"delta": {"content": "Hello."}, "logprobs": LOGPROBS, "finish_reason": "stop"}]}
    server.answers[CHAT] = [as_stream(said)]
    app = make_remote(tmp_path, server)
    async with app.run_test(size=(140, 40)) as pilot:
        chat = await ready(app)
        await pilot.press(*"hi", "enter")
        await answered(chat)
        await pilot.press("f3")
        await until(lambda: isinstance(app.screen, InspectorScreen))
        await until(lambda: "Hi" in text_of(app))
        seen = text_of(app)
        for key in ("2", "3", "1", "t", "t", "t", "down", "enter", "w", "n"):
            await pilot.press(key)
            seen += text_of(app)
        assert "rank 1" in seen
        assert "nan" not in seen
        assert "-2" not in seen, "an id that is not the vocabulary's is not shown"


async def test_without_log_probabilities_the_inspector_says_so(tmp_path: Path, server: FakeServer) -> None:
    app = make_remote(tmp_path, server)
    async with app.run_test(size=(140, 40)) as pilot:
        chat = await ready(app)
        await pilot.press(*"hi", "enter")
        await answered(chat)
        await pilot.press("f3")
        await until(lambda: "The server reports no tokens for this reply, only its text." in text_of(app))
