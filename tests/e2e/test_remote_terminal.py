"""`tok` in a real terminal over a server: an answer, a reply that breaks off, and the next one when it is back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from app.config.paths import ensure_dir, user_models_file
from tests.e2e.terminal import TOK, Terminal, assert_restored
from tests.fakes.http_server import Answer, FakeServer, as_json, as_stream, delta, served

CHAT = "/v1/chat/completions"
KEY = "sk-very-secret-0123456789"


@pytest.fixture
def server() -> Iterator[FakeServer]:
    broken = as_stream(delta("half a "), delta("reply"), done=False, broken=True)
    answers = {
        "/v1/models": as_json({"data": [{"id": "m", "owned_by": "vllm", "max_model_len": 100}]}),
        CHAT: [
            as_stream(delta("First."), delta(finish="stop")),
            broken,
            as_stream(delta("Last."), delta(finish="stop")),
        ],
    }
    with served(answers) as server:
        ensure_dir(user_models_file().parent)
        entry = f'default = "big"\n[models.big]\nsource = "openai:{server.url}#m"\napi_key_env = "BIG_KEY"\n'
        user_models_file().write_text(entry, encoding="utf-8")
        yield server


def send(terminal: Terminal, prompt: str) -> None:
    terminal.type(prompt)
    terminal.wait_for(prompt)
    terminal.type("\r")


def test_a_conversation_with_a_server(server: FakeServer) -> None:
    with Terminal(TOK, width=120, height=36, BIG_KEY=KEY) as terminal:
        terminal.wait_for("● ready")
        send(terminal, "one")
        terminal.wait_for("First")
        send(terminal, "two")
        terminal.wait_for("half a reply")
        terminal.wait_for("broke off")
        send(terminal, "three")
        terminal.wait_for("Last")
        terminal.type("\x11")
        assert terminal.wait() == 0
        assert_restored(terminal)
        assert KEY.encode() not in terminal.raw
    assert [body["messages"][-1]["content"] for body in server.bodies(CHAT)] == ["one", "two", "three"]
    assert server.seen[-1].headers["authorization"] == f"Bearer {KEY}"


def test_ctrl_c_ends_an_answer_and_the_request(server: FakeServer) -> None:
    server.answers[CHAT] = [Answer([b'data: {"choices": [{"delta": {"content": "Begun"}}]}\n\n', asyncio.Event()])]
    with Terminal((*TOK, "ask", "-m", "big", "hi"), BIG_KEY=KEY) as terminal:
        terminal.wait_for("Begun")
        terminal.type("\x03")
        assert terminal.wait() == 130
