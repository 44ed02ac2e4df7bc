"""The import floors of pyproject.toml hold, and each heavy library has one home."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

HOMES = {
    "textual": ("app/tui",),
    "rich": ("app/tui", "app/cli"),
    "apsw": ("app/store",),
    "llama_cpp": ("app/engine/native",),
    "numpy": ("app/engine",),
    "jinja2": ("app/engine/text",),
    "typer": ("app/cli",),
    "httpx": ("app/remote",),
    "platformdirs": ("app/config",),
}


def test_floors_are_kept() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run([linter, "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def imported(source: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("library", HOMES)
def test_a_library_is_imported_only_at_home(library: str) -> None:
    users = {
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / "app").rglob("*.py")
        if library in imported(file.read_text(encoding="utf-8"))
    }
    assert users, f"nobody imports {library}: is it still a dependency?"
    strangers = {user for user in users if not user.startswith(HOMES[library])}
    assert not strangers
