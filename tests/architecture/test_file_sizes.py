"""Files stay small enough to be read in one sitting, say what they are for, and excuse nothing without a reason."""

from __future__ import annotations

import ast
import re
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "app").rglob("*.py"))
MOST_LINES = 400
MANY_LINES = 250

EXCUSE = re.compile(r"#\s*(?:type:\s*ignore|noqa|pyright:\s*ignore)(?:\[[^]]*\]|:\s*[A-Z0-9, ]+)?(.*)$")
REASON = re.compile(r"\w{3,}")


def name(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("file", [*FILES, *sorted((ROOT / "tests").rglob("*.py"))], ids=name)
def test_no_file_is_too_long(file: Path) -> None:
    n_lines = len(file.read_text(encoding="utf-8").splitlines())
    assert n_lines <= MOST_LINES
    if n_lines > MANY_LINES:
        warnings.warn(f"{name(file)} has {n_lines} lines", stacklevel=1)


@pytest.mark.parametrize("file", FILES, ids=name)
def test_every_module_says_what_it_is_for(file: Path) -> None:
    assert ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))


@pytest.mark.parametrize("file", FILES, ids=name)
def test_an_excuse_has_a_reason_on_its_line(file: Path) -> None:
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        excuse = EXCUSE.search(line)
        assert not excuse or REASON.search(excuse[1]), f"{name(file)}:{number}: {line.strip()}"
