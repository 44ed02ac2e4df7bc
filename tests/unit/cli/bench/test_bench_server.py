"""`tok bench` where a server runs the model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.config.paths import user_models_file
from app.remote.router import RoutingEngine
from tests.fakes.http_server import FakeServer, as_json, as_stream, delta, served
from tests.fakes.scripted_engine import ScriptedEngine

CHAT = "/v1/chat/completions"
USAGE = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3}}
NAMES = [
    *("TTFT", "TTFT, long prompt"),
    *(name for n in (1, 2, 4, 8, 16, 32) for name in (f"{n} at once", f"{n} at once, TTFT")),
]


@pytest.fixture
def server(model: Path) -> Iterator[FakeServer]:
    answers = {
        "/v1/models": as_json({"data": [{"id": "m", "owned_by": "vllm", "max_model_len": 100}]}),
        CHAT: as_stream(delta("Rain "), delta("falls."), delta(finish="stop"), USAGE),
    }
    with served(answers) as server:
        user_models_file().write_text(f'[models.big]\nsource = "openai:{server.url}#m"\n', encoding="utf-8")
        yield server


def engine() -> RoutingEngine:
    return RoutingEngine(ScriptedEngine(loaded=False))


def test_a_server_is_measured_from_one_to_many_at_once(tok, server) -> None:
    report = tok("bench", "-m", "big", "-r", "1", "--json", engine=engine()).json
    assert [row["name"] for row in report["rows"]] == NAMES
    assert all(len(row["values"]) == 1 and row["values"][0] > 0 for row in report["rows"])
    assert "logprobs" not in server.bodies(CHAT)[-1]


def test_tokens_that_a_server_does_not_count_have_no_speed(tok, server) -> None:
    server.answers[CHAT] = [as_stream(delta("Rain falls."), delta(finish="stop"))]
    report = tok("bench", "-m", "big", "-r", "1", "--json", engine=engine()).json
    missing = [row["name"] for row in report["rows"] if row.get("missing")]
    assert missing == [f"{n} at once" for n in (1, 2, 4, 8, 16, 32)]
    assert all(row["values"] for row in report["rows"] if row["unit"] == "ms")


def test_what_needs_the_inside_of_an_engine_is_refused(tok, server) -> None:
    outcome = tok("bench", "-m", "big", "--suite", "depth", engine=engine())
    assert outcome.code != 0
    assert "a server runs big: it is measured by the suite `server` alone" in outcome.err


def test_a_model_here_is_measured_in_the_same_way(tok, model) -> None:
    report = tok("bench", "--suite", "server", "-r", "1", "--json", engine=ScriptedEngine()).json
    assert [row["name"] for row in report["rows"]] == NAMES
