"""`tok ask -m NAME` where a server runs the model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.config.paths import cache_dir, config_dir, data_dir, user_models_file
from app.remote.router import RoutingEngine
from tests.fakes.http_server import FakeServer, as_json, as_stream, delta, served
from tests.fakes.scripted_engine import ScriptedEngine

CHAT = "/v1/chat/completions"
KEY = "sk-very-secret-0123456789"
USAGE = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3}}


@pytest.fixture
def server(model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    answers = {
        "/v1/models": as_json({"data": [{"id": "m", "owned_by": "vllm"}]}),
        CHAT: as_stream(delta("Rain "), delta("falls."), delta(finish="stop"), USAGE),
    }
    with served(answers) as server:
        monkeypatch.setenv("BIG_KEY", KEY)
        entry = f'[models.big]\nsource = "openai:{server.url}#m"\napi_key_env = "BIG_KEY"\n'
        user_models_file().write_text(entry, encoding="utf-8")
        yield server


def engine() -> RoutingEngine:
    return RoutingEngine(ScriptedEngine(loaded=False))


def test_the_answer_comes_from_the_server(tok, server) -> None:
    outcome = tok("ask", "-m", "big", "hi", engine=engine())
    assert (outcome.code, outcome.out) == (0, "Rain falls.\n")
    assert server.bodies(CHAT)[0]["messages"] == [{"role": "user", "content": "hi"}]
    assert server.seen[-1].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in outcome.out + outcome.err


def test_json_marks_what_the_app_measured_and_has_no_number_that_nobody_did(tok, server) -> None:
    found = tok("ask", "-m", "big", "hi", "--json", engine=engine()).json
    assert found["usage"] == {"n_prompt": 9, "n_cached": 0, "n_generated": 3, "n_reasoning": 0}
    assert found["app_clock"] == ["ttft_ms", "decode_ms", "decode_tps"]
    assert found["timings"]["prefill_ms"] is None
    assert found["timings"]["ttft_ms"] > 0


def test_stats_mark_what_the_app_measured(tok, server) -> None:
    err = tok("ask", "-m", "big", "hi", "--stats", engine=engine()).err
    assert "9 new + 0 cached tokens · –" in err
    assert "ms · app's clock" in err
    assert "p50 – p95 –" in err


def test_several_answers_are_several_requests(tok, server) -> None:
    outcome = tok("ask", "-m", "big", "hi", "-n", "3", engine=engine())
    assert outcome.out.count("Rain falls.") == 3
    assert len({body["seed"] for body in server.bodies(CHAT)}) == 3


def test_a_refusal_is_an_error_that_does_not_show_the_key(tok, server) -> None:
    server.answers["/v1/models"] = [as_json({"error": {"message": f"bad key {KEY}"}}, 401)]
    outcome = tok("ask", "-m", "big", "hi", engine=engine())
    assert outcome.code != 0
    assert "127.0.0.1 does not accept the key (HTTP 401): bad key ***" in outcome.err
    assert "Set BIG_KEY to another key." in outcome.err
    assert KEY not in outcome.err


def test_the_key_is_in_no_file(tok, server) -> None:
    tok("ask", "-m", "big", "hi", engine=engine())
    server.answers[CHAT] = [as_json({"error": {"message": f"bad key {KEY}"}}, 401)]
    tok("ask", "-m", "big", "hi", engine=engine())
    files = [file for folder in (data_dir(), cache_dir(), config_dir()) for file in folder.rglob("*") if file.is_file()]
    assert any(file.suffix == ".db" for file in files)
    assert [file for file in files if KEY.encode() in file.read_bytes()] == []


def test_the_key_is_in_no_report_of_a_mistake_of_ours(tok, server, monkeypatch: pytest.MonkeyPatch) -> None:
    from app.remote.http import ServerConnection

    def fails(*_: object) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(ServerConnection, "_url", fails)
    outcome = tok("ask", "-m", "big", "hi", engine=engine())
    assert "a mistake of ours" in outcome.err
    assert KEY not in outcome.out + outcome.err


def test_a_key_that_is_not_set_is_asked_for(tok, server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BIG_KEY")
    outcome = tok("ask", "-m", "big", "hi", engine=engine())
    assert "the variable BIG_KEY, which holds the key, is not set" in outcome.err
    assert server.seen == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ask", "-m", "big", "hi", "--trace", "x.jsonl"), "--trace needs a model that is loaded here"),
        (("ask", "-m", "big", "hi", "--draft", "big"), "no draft model can be loaded beside it"),
        (("models", "plan", "big"), "a server runs big: nothing is loaded here"),
        (("tokenize", "-m", "big", "hi"), "this engine cannot split text into tokens"),
        (("next", "-m", "big", "hi"), "this engine cannot predict the next token"),
    ],
)
def test_what_only_a_model_here_can_do_says_so(tok, server, arguments: tuple[str, ...], message: str) -> None:
    outcome = tok(*arguments, engine=engine())
    assert outcome.code != 0
    assert message in outcome.err
    assert server.bodies(CHAT) == []


def test_a_server_is_listed_with_its_address(tok, server) -> None:
    assert f"openai:{server.url}#m" in tok("models").out
