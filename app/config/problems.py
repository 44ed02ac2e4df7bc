"""A mistake in a configuration file, and its display: place, source line, caret, nearest valid name.

Independent of TOML: `app.config.document` finds the place, the readers know what is valid.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from app.domain.text import safe_text

_SHOWN_CHARS = 100
"""Longer source lines are cut to this width around the caret."""


class Problem(Struct, frozen=True, kw_only=True):
    """One mistake. Lines and columns count characters from 1; 0 means the whole file."""

    file: Path
    line: int
    column: int
    key: str
    """Dotted, as in `presets.fast.temperature`; empty for a problem that belongs to no key."""
    message: str
    suggestion: str = ""
    """The nearest valid name; may be empty."""
    source_line: str = ""
    span: int = 1
    """How many characters the caret underlines."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """Returns the valid name closest to `name`, or an empty string if none is close."""
    known = list(valid)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if not close:
        folded = {candidate.casefold(): candidate for candidate in known}
        close = [folded[key] for key in difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.5)]
    return close[0] if close else ""


def sort_problems(problems: Iterable[Problem]) -> list[Problem]:
    """Returns the problems of one file in the order of the file."""
    return sorted(problems, key=lambda problem: (problem.line, problem.column))


def render(problems: Sequence[Problem]) -> str:
    """Returns the problems as plain text, safe for a terminal: `file:line:column: message`, source line, caret."""
    return "\n\n".join(_render_one(problem) for problem in problems)


def summary(problem: Problem) -> str:
    """Returns one line for a notice: file name, line, message and suggestion."""
    place = f"{problem.file.name}:{problem.line}" if problem.line else problem.file.name
    return " ".join(safe_text(f"{place}: {_sentence(problem)}").split())


def _sentence(problem: Problem) -> str:
    hint = f"; did you mean `{problem.suggestion}`?" if problem.suggestion else ""
    return problem.message + hint


def _render_one(problem: Problem) -> str:
    place = f"{problem.file}:{problem.line}:{problem.column}" if problem.line else str(problem.file)
    head = safe_text(f"{place}: {_sentence(problem)}")
    if not problem.line:
        return head
    start = max(0, problem.column - 1 - _SHOWN_CHARS // 2)
    shown = problem.source_line[start : start + _SHOWN_CHARS]
    before = safe_text(shown[: problem.column - 1 - start].replace("\t", " "))
    rest = safe_text(shown[problem.column - 1 - start :].replace("\t", " "))
    n_carets = max(1, min(problem.span, len(shown) - (problem.column - 1 - start)))
    number = f"{problem.line:>5}"
    return f"{head}\n{number} | {before}{rest}\n{' ' * 5} | {' ' * _cells(before)}{'^' * n_carets}"


def _cells(text: str) -> int:
    """Approximate terminal columns of `text`, for the position of the caret."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )
