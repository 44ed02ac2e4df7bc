"""Finds the position of each key in a TOML text, which tomllib does not report.

Expects valid TOML up to the key in question; it raises nothing and stops at what it does not understand. Paths mix keys
with indexes into arrays: `("models", 0, "name")`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

KeyPath = tuple[str | int, ...]


class Span(NamedTuple):
    """Offsets into the text: the last part of a key, and where its value begins (the key itself for a table)."""

    start: int
    end: int
    value: int


_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"[ \t]*")
_FILLER = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_REST_OF_LINE = re.compile(r"[^\n]*\n?")
_STRING = re.compile(
    r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}' r"|'''(?:[^']|'{1,2}(?!'))*'{3,5}" r'|"(?:[^"\\\n]|\\.)*"' r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]*")
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b"}


def locate_keys(text: str) -> dict[KeyPath, Span]:
    """Returns every key and table of `text` with its place, in the order of the text; the first occurrence wins."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.found


def last_key(text: str) -> Span:
    """Returns the place of the last key or header, or of the first character."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.last


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: dict[KeyPath, Span] = {}
        self.last = Span(0, 1, 0)
        self._n_tables: dict[KeyPath, int] = {}

    def document(self) -> None:
        table: KeyPath = ()
        while self._skip(_FILLER) and self.at < len(self.text):
            before = self.at
            if self.text.startswith("[", self.at):
                table = self._header()
                self._skip(_REST_OF_LINE)
            else:
                self._key_value(table)
                self._skip(_BLANK)
            if self.at == before:
                return

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        match = pattern.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return True

    def _header(self) -> KeyPath:
        is_array = self.text.startswith("[[", self.at)
        self.at += 2 if is_array else 1
        parts = self._key()
        path: KeyPath = ()
        for position, (name, start, end) in enumerate(parts, 1):
            path = (*path, name)
            is_last = position == len(parts)
            self.last = Span(start, end, start)
            self.found.setdefault(path, self.last)
            if is_last and is_array:
                self._n_tables[path] = self._n_tables.get(path, 0) + 1
            if path in self._n_tables:
                path = (*path, self._n_tables[path] - 1)
                self.found.setdefault(path, self.last)
        return path

    def _key(self) -> list[tuple[str, int, int]]:
        """Reads `a."b".c`; returns its parts with their offsets, quotes included."""
        parts: list[tuple[str, int, int]] = []
        while True:
            self._skip(_BLANK)
            match = _BARE.match(self.text, self.at) or _STRING.match(self.text, self.at)
            if match is None:
                return parts
            self.at = match.end()
            parts.append((_unquote(match.group()), match.start(), match.end()))
            self._skip(_BLANK)
            if not self.text.startswith(".", self.at):
                return parts
            self.at += 1

    def _key_value(self, table: KeyPath) -> None:
        parts = self._key()
        if not parts or not self.text.startswith("=", self.at):
            return
        self.at += 1
        self._skip(_BLANK)
        path = table
        for name, start, end in parts:
            path = (*path, name)
            self.last = Span(start, end, self.at)
            self.found.setdefault(path, self.last)
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        opening = self.text[self.at : self.at + 1]
        if opening == "{":
            self._members("}", lambda _: self._key_value(path))
        elif opening == "[":
            self._members("]", lambda index: self._item((*path, index)))
        else:
            self._skip(_STRING if opening in {'"', "'"} else _SCALAR)

    def _item(self, path: KeyPath) -> None:
        start = self.at
        self._value(path)
        self.found.setdefault(path, Span(start, self.at, start))

    def _members(self, closing: str, read: Callable[[int], None]) -> None:
        self.at += 1
        index = 0
        while self._skip(_FILLER) and self.at < len(self.text):
            if self.text.startswith(closing, self.at):
                self.at += 1
                return
            before = self.at
            read(index)
            self._skip(_FILLER)
            if self.text.startswith(",", self.at):
                self.at += 1
            elif self.at == before:
                return
            index += 1


def _unquote(key: str) -> str:
    if key.startswith("'"):
        return key[1:-1]
    if not key.startswith('"'):
        return key
    return _ESCAPE.sub(lambda m: chr(int(m[1] or m[2], 16)) if m[1] or m[2] else _ESCAPED.get(m[3], m[3]), key[1:-1])
