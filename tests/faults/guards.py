"""Switches each guard off in a copy of the program and runs the tests that should notice.

`python -m tests.faults.guards [PART…]` prints a table guard × tests × red or green and ends with 1 where they stayed
green; PART tries only the guards whose names contain one. The guards are those of `guards.toml`.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec import Struct, convert

_ROOT = Path(__file__).parents[2]
_PYTEST = (sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--timeout", "40")
_LONGEST_S, _MOST_BYTES = 120, 6 << 30
_COPIED = ("app", "tests", "pyproject.toml", "models.toml", "themes", "README.md", "CHANGELOG.md")


class Guard(Struct, frozen=True, forbid_unknown_fields=True):
    """What it guards, the line of the program that does, what is put in its place, and the tests that notice."""

    name: str
    file: str
    line: str
    instead: str
    tests: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """What the test said of a program without the guard."""

    guard: Guard
    is_red: bool
    last_line: str


GUARDS = convert(tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))["guards"], list[Guard])


def switched_off(guard: Guard, copy: Path) -> Verdict:
    """Takes the guard out of the copy, runs its tests, and puts it back. Raises ValueError: its line is not there."""
    file = copy / guard.file
    text = file.read_text(encoding="utf-8")
    if guard.line not in text:
        raise ValueError(f"{guard.file} has no line {guard.line!r}")
    file.write_text(text.replace(guard.line, guard.instead), encoding="utf-8")
    try:
        done = subprocess.run(
            [*_PYTEST, *guard.tests],
            cwd=copy,
            env=os.environ | {"PYTHONPATH": str(copy)},
            capture_output=True,
            text=True,
            timeout=_LONGEST_S,
            check=False,
            preexec_fn=_limit_memory,  # without its guard a flood fills it
        )
    except subprocess.TimeoutExpired:
        return Verdict(guard, is_red=True, last_line=f"no end within {_LONGEST_S} s")
    finally:
        file.write_text(text, encoding="utf-8")
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return Verdict(guard, done.returncode == 1, lines[0] if lines else done.stdout.strip().rpartition("\n")[2])


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))


def try_all(guards: Sequence[Guard]) -> list[Verdict]:
    """Switches one guard off after another; says on standard error what came of it."""
    verdicts: list[Verdict] = []
    with tempfile.TemporaryDirectory(prefix="tok-guards-") as folder:
        copy = Path(folder)
        for name in _COPIED:
            source = _ROOT / name
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, copy / name, ignore=ignore) if source.is_dir() else shutil.copy(source, copy / name)
        for guard in guards:
            verdicts.append(switched_off(guard, copy))
            print("red  " if verdicts[-1].is_red else "GREEN", guard.name, verdicts[-1].last_line, file=sys.stderr)
    return verdicts


def table(verdicts: Sequence[Verdict]) -> str:
    """A Markdown table: guard, tests, red or green."""
    rows = (
        f"| {verdict.guard.name} | {' '.join(verdict.guard.tests)} | {'red' if verdict.is_red else '**green**'} |"
        for verdict in verdicts
    )
    return "\n".join(("| guard switched off | tests | they are |", "|---|---|---|", *rows))


def main() -> int:
    """Tries the guards that are asked for and prints the table."""
    parts = sys.argv[1:] or [""]
    verdicts = try_all([guard for guard in GUARDS if any(part in guard.name for part in parts)])
    print(table(verdicts))
    return int(not all(verdict.is_red for verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main())
