"""`tok models plan`: a table for people, an object for programs, nothing loaded."""

from __future__ import annotations

import pytest

from app.cli.common.launching import EngineLauncher
from app.protocol.events import Device, Hello
from tests.fakes.engine_events import make_hello, make_lost


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> None:
    hello = make_hello()
    seen = (*hello.devices, Device("CUDA0", "A GPU", "GPU", 4 << 30, 8 << 30))
    greeting = Hello(hello.protocol, hello.pid, hello.build, seen)
    monkeypatch.setattr(EngineLauncher, "greet", lambda self: greeting)


def test_a_table_for_people(tok, model, devices) -> None:
    outcome = tok("models", "plan")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert lines[1].startswith("window: 256 tokens × 2 resident conversations")
    assert lines[2] == "layers on a GPU: 3 of 3, output layer included"
    assert lines[4].split()[:3] == ["DEVICE", "KIND", "LAYERS"]
    assert [line.split()[:3] for line in lines[5:]] == [["CUDA0", "GPU", "3"], ["CPU", "CPU", "0"]]


def test_an_object_for_programs(tok, model, devices) -> None:
    plan = tok("models", "plan", str(model), "--json").json
    assert (plan["n_gpu_layers"], plan["n_ctx"], plan["fits"], plan["notices"]) == (3, 256, True, [])
    assert [device["name"] for device in plan["devices"]] == ["CUDA0", "CPU"]
    assert plan["devices"][0]["kv_bytes"] == 2 * 256 * 2 * 2 * (8 + 8) * 2


def test_a_draft_model_is_shown_beside_its_target(tok, model, devices) -> None:
    plan = tok("models", "plan", "--draft", str(model), "--json").json
    assert (plan["draft"], plan["draft_device"]) == (str(model), "CUDA0")
    alone = tok("models", "plan", "--json").json
    assert (alone["draft"], alone["draft_device"]) == (None, None)
    gpu, cpu = plan["devices"]
    whole = sum(alone["devices"][0][key] for key in ("weight_bytes", "kv_bytes", "compute_bytes"))
    assert (gpu["draft_bytes"], cpu["draft_bytes"]) == (whole, alone["devices"][1]["weight_bytes"])
    lines = tok("models", "plan", "--draft", str(model)).out.splitlines()
    assert "DRAFT MiB" in lines[4]
    assert lines[-1].startswith(f"+ draft model {model.name} on CUDA0: ")
    assert "DRAFT MiB" not in tok("models", "plan").out


def test_a_model_that_is_not_there(tok) -> None:
    assert tok("models", "plan", "nothing").code == 4


def test_an_engine_that_does_not_start(tok, model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EngineLauncher, "greet", lambda self: make_lost())
    outcome = tok("models", "plan", "--json")
    assert outcome.code == 5
    assert outcome.json["error"]["kind"] == "engine_lost"
