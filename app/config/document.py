"""Reads one TOML file into values, and turns a path of keys into a `Problem` with its place in the text.

Knows TOML and its syntax errors, not what the keys mean.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from app.config.locator import KeyPath, Span, last_key, locate_keys
from app.config.problems import Problem, nearest, sort_problems
from app.domain.files import read_regular

MAX_BYTES = 1 << 20
"""A longer file is a mistake."""

MAX_PROBLEMS = 200
"""Checking stops after this many problems."""

_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_OF_A_KEY = ("Cannot overwrite", "Cannot declare", "Cannot mutate", "Cannot redefine", "Duplicate inline table key")
"""tomllib reports these after the value or inside the header; the last key before that place is at fault."""


class Document:
    """One file: its values (empty when it cannot be parsed), and the problems found so far.

    Attributes:
        data: the TOML values as tomllib gives them.
        problems: readers add theirs with `report`; ordered by place in `sorted_problems`.
    """

    def __init__(self, path: Path, text: str = "") -> None:
        self.path = path
        self.text = text
        self.data: dict[str, Any] = {}
        self.problems: list[Problem] = []
        self._spans: dict[KeyPath, Span] | None = None
        if text:
            self._parse()

    def report(self, key: KeyPath, message: str, *, suggest_from: list[str] | None = None, name: str = "") -> None:
        """Adds a problem at `key`, or at the nearest enclosing table in the text; at most MAX_PROBLEMS.

        Args:
            key: path of the offending key.
            message: what is wrong, a clause without a full stop.
            suggest_from: valid names, of which the nearest is suggested.
            name: what the user wrote, when it is not the key's own name (a value).
        """
        if len(self.problems) >= MAX_PROBLEMS:
            return
        if self._spans is None:
            self._spans = locate_keys(self.text)
        place = key
        while place and place not in self._spans:
            place = place[:-1]
        span = self._spans.get(place)
        suggestion = nearest(name or str(key[-1]), suggest_from) if suggest_from else ""
        self.report_at(span.start if span else 0, message, key, suggestion, span.end - span.start if span else 1)

    def sorted_problems(self) -> list[Problem]:
        """The problems in the order of the file."""
        return sort_problems(self.problems)

    def report_at(self, offset: int, message: str, key: KeyPath = (), suggestion: str = "", span: int = 1) -> None:
        """Adds a problem at a character offset of the text, underlining `span` characters."""
        start = self.text.rfind("\n", 0, offset) + 1
        end = self.text.find("\n", start)
        self.problems.append(
            Problem(
                file=self.path,
                line=self.text.count("\n", 0, offset) + 1,
                column=offset - start + 1,
                key=".".join(map(str, key)),
                message=message,
                suggestion=suggestion,
                source_line=self.text[start : end if end >= 0 else len(self.text)].rstrip("\r"),
                span=span,
            )
        )

    def _parse(self) -> None:
        try:
            self.data = tomllib.loads(self.text)
        except RecursionError:
            self.report_at(0, "nested too deeply")
        except tomllib.TOMLDecodeError as error:
            self._report_syntax(str(error))
        except ValueError:
            self.report_at(0, "a number has too many digits")

    def _report_syntax(self, text: str) -> None:
        match = _AT.search(text)
        message = text[: match.start()] if match else text
        offset = len(self.text)
        if match and match[1]:
            # tomllib counts lines after turning \r\n into \n; columns stay the same.
            offset = _offset_of(self.text, int(match[1]), int(match[2]))
        if message.startswith(_OF_A_KEY):
            last = last_key(self.text[:offset])
            name = self.text[last.start : last.end]
            self.report_at(last.start, f"`{name}` is defined twice", span=last.end - last.start)
            return
        stripped = self.text.rstrip()
        self.report_at(min(offset, len(stripped)), message[:1].lower() + message[1:])


def _offset_of(text: str, line: int, column: int) -> int:
    start = 0
    for _ in range(line - 1):
        start = text.find("\n", start) + 1
    return min(start + column - 1, len(text))


def read_document(path: Path) -> Document:
    """Reads a TOML file; a missing one is empty. Never raises for an unreadable or invalid file."""
    try:
        raw = read_regular(path, MAX_BYTES + 1)
    except FileNotFoundError:
        return Document(path)
    except OSError as error:
        return _refused(path, f"cannot be read: {error.strerror or error}")
    if len(raw) > MAX_BYTES:
        return _refused(path, f"is longer than {MAX_BYTES >> 20} MiB")
    try:
        return Document(path, raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        document = Document(path)
        document.text = raw.decode("latin-1")
        document.report_at(error.start, "is not UTF-8; save the file as UTF-8")
        return document


def _refused(path: Path, message: str) -> Document:
    document = Document(path)
    document.problems.append(Problem(file=path, line=0, column=0, key="", message=message))
    return document
