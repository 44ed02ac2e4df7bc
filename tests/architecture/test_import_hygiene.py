"""What a command may import, looked at in a fresh interpreter: the price of `--help`, and native code kept out."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"textual", "rich", "llama_cpp", "numpy", "jinja2", "pydantic", "asyncio", "msgspec", "apsw", "httpx"}

RUN = """
import contextlib, io, json, sys
from app.cli.main import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    main(json.loads(sys.argv[1]))
print(json.dumps(sorted(sys.modules)))
"""


def modules_after(arguments: Sequence[str]) -> set[str]:
    command = [sys.executable, "-c", RUN, json.dumps(arguments)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(run.stdout))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["chat", "--help"],
        ["ask", "--help"],
        ["batch", "--help"],
        ["bench", "--help"],
        ["explain", "--help"],
        ["models", "--help"],
        ["presets", "--help"],
        ["--bogus"],
    ],
    ids=" ".join,
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    assert not modules_after(arguments) & HEAVY


def test_a_usage_error_behind_options_imports_nothing_heavy() -> None:
    """typer's own conversion of option values would import pydantic here."""
    assert not modules_after(["ask", "--temperature", "1", "--stop", "x", "--json", "--jsonl", "prompt"]) & HEAVY


@pytest.mark.parametrize("arguments", [["models"], ["presets"], ["config", "check"]], ids=" ".join)
def test_lists_need_no_screen_and_no_engine(arguments: list[str]) -> None:
    assert not modules_after(arguments) & (HEAVY - {"msgspec", "asyncio"})


def imports_of(statement: str) -> set[str]:
    code = f"{statement}\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(run.stdout))


def test_asking_imports_neither_screen_nor_native_code() -> None:
    heavy = {"textual", "rich", "llama_cpp", "numpy", "jinja2", "pydantic", "httpx"}
    assert not imports_of("import app.cli.ask.run") & heavy


def test_the_chat_imports_no_native_code() -> None:
    assert not imports_of("import app.tui.app") & {"llama_cpp", "numpy", "jinja2", "httpx", "app.engine"}


def test_the_worker_imports_nothing_of_the_app() -> None:
    loaded = imports_of("import app.engine.process.worker")
    floors = {"app.cli", "app.tui", "app.session", "app.client", "app.store", "app.models", "app.config"}
    assert not loaded & (floors | {"textual", "rich", "typer", "apsw"})
