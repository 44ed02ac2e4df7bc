"""Parses GBNF, llama.cpp's grammar format (grammars/README.md there), to the nodes that `lexemes` turns into Lark."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

_DEEPEST, _LONGEST, _MOST_REPEATS = 200, 1 << 20, 100_000
_LAST = 0x10FFFF
_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_SPACE = re.compile(r"(?:[ \t]|#[^\r\n]*)*")
_SPACE_OR_LINES = re.compile(r"(?:[ \t\r\n]|#[^\r\n]*)*")
_CHAR = re.compile(r'\\x([0-9a-fA-F]{2})|\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})|\\([trn\\"\[\]-])|([^\\])', re.DOTALL)
_ESCAPES = {"t": "\t", "r": "\r", "n": "\n"}
_TOKEN = re.compile(r"(!?)<(?:\[(\d+)\]|([^\[>\0][^>]*))>")
_REPEATED = re.compile(r"\{\s*(\d{1,9})\s*(?:(,)\s*(\d{0,9})\s*)?\}")


class GbnfError(Exception):
    """A mistake in a grammar. The message continues `the grammar is wrong`."""

    def __init__(self, what: str, text: str = "", at: int | None = None) -> None:
        """`at`: index in `text` of the character at fault."""
        if at is None:
            super().__init__(f": {what}")
            return
        line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
        super().__init__(f" at line {line}, column {column}: {what}")


Ranges = tuple[tuple[int, int], ...]
"""(first, last) code point of each range."""


@dataclass(eq=False, slots=True)
class Chars:
    """One character out of a set."""

    ranges: Ranges


@dataclass(eq=False, slots=True)
class Token:
    """One token, or any token but this."""

    name: str
    """`#ID` or the token's text."""
    negated: bool
    at: int


@dataclass(eq=False, slots=True)
class Ref:
    """A reference to a rule."""

    name: str
    at: int


@dataclass(eq=False, slots=True)
class Row:
    """Parts in sequence."""

    parts: list[Node]


@dataclass(eq=False, slots=True)
class Choice:
    """Alternatives."""

    ways: list[Node]


@dataclass(eq=False, slots=True)
class Repeat:
    """A node repeated `least` to `most` times; `most` None for no limit."""

    node: Node
    least: int
    most: int | None


Node = Chars | Token | Ref | Row | Choice | Repeat


@dataclass(slots=True)
class Gbnf:
    """The rules of a grammar, by name; it starts at `root`."""

    rules: dict[str, Node] = field(default_factory=dict[str, Node])


def read_gbnf(text: str) -> Gbnf:
    """Parses a grammar. Raises GbnfError."""
    if len(text) > _LONGEST:
        raise GbnfError(f"it is longer than {_LONGEST:,} characters")
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._refs: list[Ref] = []

    def parse(self) -> Gbnf:
        grammar = Gbnf()
        self._skip(lines=True)
        while self._at < len(self._text):
            name = self._take(_NAME, "expecting the name of a rule")[0]
            self._skip()
            if not self._text.startswith("::=", self._at):
                raise self._wrong("expecting ::=")
            self._at += 3
            self._skip(lines=True)
            grammar.rules[name] = self._choice(nested=False)
            if self._at < len(self._text) and self._text[self._at] not in "\r\n":
                raise self._wrong("expecting a new line or the end")
            self._skip(lines=True)
        for ref in self._refs:
            if ref.name not in grammar.rules:
                raise self._wrong(f"there is no rule named {ref.name}", ref.at)
        if "root" not in grammar.rules:
            raise GbnfError("it has no rule named root")
        return grammar

    def _choice(self, *, nested: bool) -> Node:
        ways = [self._row(nested=nested)]
        while self._text.startswith("|", self._at):
            self._at += 1
            self._skip(lines=True)
            ways.append(self._row(nested=nested))
        return ways[0] if len(ways) == 1 else Choice(ways)

    def _row(self, *, nested: bool) -> Node:
        parts: list[Node] = []
        while (c := self._text[self._at : self._at + 1]) and c not in "|)" and (nested or c not in "\r\n"):
            if c in "*+?{":
                self._repeat(parts)
            else:
                parts.append(self._part(c))
            self._skip(lines=nested)
        return parts[0] if len(parts) == 1 else Row(parts)

    def _part(self, c: str) -> Node:
        start = self._at
        match c:
            case '"':
                return Row([Chars(((code, code),)) for code in self._chars('"', "this text")])
            case "[":
                return self._set()
            case ".":
                self._at += 1
                return Chars(((0, _LAST),))
            case "(":
                return self._group()
            case "<" | "!":
                found = self._take(_TOKEN, "expecting a token, as in <[7]> or <name>")
                return Token(f"#{found[2]}" if found[2] else f"<{found[3]}>", bool(found[1]), start)
            case _:
                ref = Ref(self._take(_NAME, "expecting a text, a set, a rule or a group")[0], start)
                self._refs.append(ref)
                return ref

    def _group(self) -> Node:
        start = self._at
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._wrong(f"groups are nested deeper than {_DEEPEST}")
        self._at += 1
        self._skip(lines=True)
        node = self._choice(nested=True)
        if not self._text.startswith(")", self._at):
            raise self._wrong("expecting ')' for the group that begins here", start)
        self._at += 1
        self._depth -= 1
        return node if isinstance(node, Choice) else Row([node])

    def _set(self) -> Chars:
        start = self._at
        negated = self._text.startswith("^", start + 1)
        self._at += negated
        codes, escaped = self._codes("]", "this set", start)
        ranges: list[tuple[int, int]] = []
        i = 0
        while i < len(codes):
            if i + 2 < len(codes) and codes[i + 1] == ord("-") and not escaped[i + 1]:
                if codes[i + 2] < codes[i]:
                    raise self._wrong("this set has a range in reverse order", start)
                ranges.append((codes[i], codes[i + 2]))
                i += 3
            else:
                ranges.append((codes[i], codes[i]))
                i += 1
        return Chars(_others(ranges) if negated else tuple(ranges))

    def _chars(self, end: str, what: str) -> list[int]:
        return self._codes(end, what, self._at)[0]

    def _codes(self, end: str, what: str, start: int) -> tuple[list[int], list[bool]]:
        """The code points up to the end of a text or a set, and which of them were escaped."""
        codes: list[int] = []
        escaped: list[bool] = []
        self._at += 1
        while not self._text.startswith(end, self._at):
            if self._at == len(self._text):
                raise self._wrong(f"{what} is not closed ({end})", start)
            found = self._take(_CHAR, "unknown escape")
            plain = _ESCAPES.get(found[4], found[4]) if found[4] else found[5]
            code = ord(plain) if plain else int(found[1] or found[2] or found[3], 16)
            if code > _LAST:
                raise self._wrong("not a character")
            codes.append(code)
            escaped.append(not found[5])
        self._at += 1
        return codes, escaped

    def _repeat(self, parts: list[Node]) -> None:
        start = self._at
        if not parts:
            raise self._wrong("expecting something to repeat before this")
        least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(self._text[start], (0, 0))
        self._at += 1
        if self._text[start] == "{":
            counts = _REPEATED.match(self._text, start)
            if counts is None:
                raise self._wrong("expecting counts, as in {2}, {2,} or {2,5}", start)
            least = int(counts[1])
            most = least if not counts[2] else int(counts[3]) if counts[3] else None
            self._at = counts.end()
        if most is not None and most < least:
            raise self._wrong(f"the minimum of {least} exceeds the maximum of {most}", start)
        if max(least, most or 0) > _MOST_REPEATS:
            raise self._wrong(f"repeated more than {_MOST_REPEATS:,} times", start)
        parts[-1] = Repeat(parts[-1], least, most)

    def _skip(self, *, lines: bool = False) -> None:
        found = (_SPACE_OR_LINES if lines else _SPACE).match(self._text, self._at)
        self._at = found.end() if found else self._at

    def _take(self, pattern: re.Pattern[str], otherwise: str) -> re.Match[str]:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise self._wrong(otherwise)
        self._at = found.end()
        return found

    def _wrong(self, what: str, at: int | None = None) -> GbnfError:
        return GbnfError(what, self._text, self._at if at is None else at)


def _others(ranges: list[tuple[int, int]]) -> Ranges:
    """All code points outside the ranges."""
    found: list[tuple[int, int]] = []
    following = 0
    for low, high in sorted(ranges):
        if low > following:
            found.append((following, low - 1))
        following = max(following, high + 1)
    if following <= _LAST:
        found.append((following, _LAST))
    return tuple(found)


def children(node: Node) -> list[Node]:
    """The nodes directly inside a node."""
    match node:
        case Row(parts):
            return parts
        case Choice(ways):
            return ways
        case Repeat(inner):
            return [inner]
        case _:
            return []


TokenIds = Callable[[str], list[int]]
"""Returns the ids for a token's name: `#ID` or a text."""
