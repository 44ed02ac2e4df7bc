"""A command line over the scripted engine, with a model file that is only looked at."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.cli.common.launching import EngineLauncher
from app.cli.main import main
from app.cli.score import inspection, tokens
from app.cli.score import preview as prospect
from app.config.paths import config_file, ensure_dir
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.tiny_gguf import write_tiny_gguf


@dataclass
class Outcome:
    """What one command line did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


Tok = Callable[..., Outcome]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A file that passes for a model where nobody loads it, set as the default one."""
    path = write_tiny_gguf(tmp_path / "tiny.gguf")
    ensure_dir(config_file().parent)
    config_file().write_text(f"model = {json.dumps(str(path))}\n", encoding="utf-8")
    return path


@pytest.fixture
def tok(capsys: pytest.CaptureFixture[str]) -> Tok:
    """Runs `tok ARGUMENTS…` in this process; `engine` answers."""

    def run(*arguments: str, engine: ScriptedEngine | None = None) -> Outcome:
        launcher = EngineLauncher(lambda: engine or ScriptedEngine())
        code = main(list(arguments), launcher)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output as if a person looked at it."""
    for module in (inspection, prospect, tokens):
        monkeypatch.setattr(module, "wants_paint", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
