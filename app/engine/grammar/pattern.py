r"""Translates the regular expressions of JSON Schema (ECMA-262, Unicode) to those of llguidance.

Spells out each character class, so that `\d`, `\s`, `.` and the others mean what ECMA-262 says. Refuses, with the
position, what a finite automaton cannot decide: look-around and back references.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product

_ANY = r"(?s:.)*"
_CLASSES = {
    "d": r"0-9",
    "w": r"A-Za-z0-9_",
    "s": r"\x{9}-\x{D}\x{20}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}\x{FEFF}",
}
_DOT = r"[^\x{A}\x{D}\x{2028}\x{2029}]"
_CONTROLS = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13}
_COUNT = re.compile(r"\{(\d{1,9})(?:(,)(\d{0,9}))?\}")
_PROPERTY = re.compile(r"[pP]\{([A-Za-z_]+(?:=[A-Za-z_]+)?)\}")
_HEX = re.compile(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}")
_LOW = re.compile(r"\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_GROUP = re.compile(r"\(\?(?:(:)|<([A-Za-z_]\w*)>|(i):)")
_DEEPEST, _MOST_WAYS, _MOST_REPEATS, _LAST = 100, 64, 100_000, 0x10FFFF


class PatternError(Exception):
    """A mistake or an unsupported construct. The message continues `the regular expression is wrong`."""

    def __init__(self, what: str, at: int) -> None:
        """`at`: index of the character at fault."""
        super().__init__(f" at character {at + 1}: {what}")


@dataclass(frozen=True, slots=True)
class _Text:
    """A translated part without anchors."""

    regex: str


@dataclass(frozen=True, slots=True)
class _Anchor:
    at: int
    start: bool


@dataclass(frozen=True, slots=True)
class _Choice:
    """Alternatives, each a sequence of parts."""

    rows: tuple[tuple[_Part, ...], ...]


_Part = _Text | _Anchor | _Choice


def searched(pattern: str) -> str:
    """A regex that matches, as a whole, each text that contains a match of `pattern`. Raises PatternError."""
    return _whole(_Parser(pattern).parse(), around=_ANY)


def whole(pattern: str) -> str:
    """A regex for the texts that `pattern` matches as a whole, with or without anchors. Raises PatternError."""
    return _whole(_Parser(pattern).parse(), around="")


def literal(text: str) -> str:
    """A regex that matches only `text`."""
    return "".join(_char(ord(c)) for c in text)


def _whole(choice: _Choice, around: str) -> str:
    return "|".join(_row(row, around) for row in _flat(choice))


def _row(row: tuple[_Part, ...], around: str) -> str:
    start, end = 0, len(row)
    while start < end and _is_anchor(row[start], start=True):
        start += 1
    while end > start and _is_anchor(row[end - 1], start=False):
        end -= 1
    for part in row[start:end]:
        if isinstance(part, _Anchor):
            raise PatternError(
                f"`{'^' if part.start else '$'}` must stand at the {'beginning' if part.start else 'end'}", part.at
            )
    inner = "".join(_regex(part) for part in row[start:end])
    return (around if not start else "") + inner + (around if end == len(row) else "")


def _is_anchor(part: _Part, *, start: bool) -> bool:
    return isinstance(part, _Anchor) and part.start is start


def _flat(choice: _Choice) -> list[tuple[_Part, ...]]:
    """The alternatives of a choice, multiplied out until no group holds an anchor."""
    rows: list[tuple[_Part, ...]] = []
    for row in choice.rows:
        ways = [_flat(part) if isinstance(part, _Choice) and _has_anchor(part) else [(part,)] for part in row]
        n_ways = 1
        for each in ways:
            n_ways *= len(each)
        if n_ways > _MOST_WAYS:
            raise PatternError("too many alternatives with anchors", 0)
        rows += [tuple(part for parts in way for part in parts) for way in product(*ways)]
    return rows


def _has_anchor(part: _Part) -> bool:
    if isinstance(part, _Choice):
        return any(_has_anchor(each) for row in part.rows for each in row)
    return isinstance(part, _Anchor)


def _regex(part: _Part) -> str:
    match part:
        case _Text(regex):
            return regex
        case _Choice(rows):
            return f"(?:{'|'.join(''.join(map(_regex, row)) for row in rows)})"
        case _Anchor():
            return ""


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def parse(self) -> _Choice:
        choice = self._choice()
        if self._at < len(self._text):
            raise self._wrong("`)` closes no group")
        return choice

    def _choice(self) -> _Choice:
        rows: list[tuple[_Part, ...]] = []
        row: list[_Part] = []
        while (c := self._peek()) and c != ")":
            if c == "|":
                self._at += 1
                rows.append(tuple(row))
                row = []
            else:
                row.append(self._quantified(self._atom(c)))
        return _Choice((*rows, tuple(row)))

    def _atom(self, c: str) -> _Part:
        start = self._at
        self._at += 1
        match c:
            case "^" | "$":
                return _Anchor(start, c == "^")
            case ".":
                return _Text(_DOT)
            case "(":
                return self._group(start)
            case "[":
                return _Text(self._class(start))
            case "\\":
                return _Text(self._escape())
            case "*" | "+" | "?":
                raise self._wrong("nothing to repeat", start)
            case "{" if _COUNT.match(self._text, start):
                raise self._wrong("nothing to repeat", start)
            case _:
                return _Text(_char(ord(c)))

    def _group(self, start: int) -> _Part:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._wrong(f"groups are nested deeper than {_DEEPEST}", start)
        kind = _GROUP.match(self._text, start)
        if kind:
            self._at = kind.end()
        elif self._text.startswith("(?", start):
            raise self._wrong("look-around and inline flags are not supported", start)
        inside = self._choice()
        if self._peek() != ")":
            raise self._wrong("this group is not closed", start)
        self._at += 1
        self._depth -= 1
        if kind and kind[3]:
            if _has_anchor(inside):
                raise self._wrong("an anchor in a group with flags is not supported", start)
            return _Text(f"(?i:{_regex(inside)})")
        return inside

    def _quantified(self, part: _Part) -> _Part:
        start, c = self._at, self._peek()
        counts = _COUNT.match(self._text, start) if c == "{" else None
        if counts:
            least = int(counts[1])
            most = least if not counts[2] else int(counts[3]) if counts[3] else None
            if most is not None and most < least:
                raise self._wrong(f"the minimum of {least} exceeds the maximum of {most}")
            if max(least, most or 0) > _MOST_REPEATS:
                raise self._wrong(f"repeated more than {_MOST_REPEATS:,} times")
            self._at, suffix = counts.end(), f"{{{least},{'' if most is None else most}}}"
        elif c and c in "*+?":
            self._at, suffix = start + 1, c
        else:
            return part
        if self._peek() == "?":  # lazy matches the same texts
            self._at += 1
        if _has_anchor(part):
            raise self._wrong("an anchor cannot be repeated", start)
        return _Text(f"(?:{_regex(part)}){suffix}")

    def _class(self, start: int) -> str:
        negated = self._peek() == "^"
        self._at += negated
        parts: list[str] = []
        while (c := self._peek()) != "]":
            if not c:
                raise self._wrong("this class is not closed", start)
            parts.append(self._range())
        self._at += 1
        if not parts:
            return "(?s:.)" if negated else "[^\\x{0}-\\x{10FFFF}]"
        return f"[{'^' if negated else ''}{''.join(parts)}]"

    def _range(self) -> str:
        """One member of a class: a character, a range, or an escape such as `\\d`."""
        start = self._at
        low = self._member()
        if isinstance(low, str):
            return low
        if self._peek() != "-" or self._text[self._at + 1 : self._at + 2] in ("]", ""):
            return _char(low)
        self._at += 1
        high = self._member()
        if isinstance(high, str):
            return f"{_char(low)}{_char(ord('-'))}{high}"
        if high < low:
            raise self._wrong("this range is in reverse order", start)
        return f"{_char(low)}-{_char(high)}"

    def _member(self) -> int | str:
        c = self._peek()
        self._at += 1
        if c != "\\":
            return ord(c)
        if self._peek() == "b":
            self._at += 1
            return 8
        return self._escaped()

    def _escape(self) -> str:
        escaped = self._escaped()
        return _char(escaped) if isinstance(escaped, int) else f"[{escaped}]"

    def _escaped(self) -> int | str:  # noqa: PLR0911 -- one a kind of escape
        """Reads what follows a backslash: a code point, or the inside of a class."""
        start, c = self._at, self._peek()
        if found := _HEX.match(self._text, start):
            return self._code_point(found)
        if c in ("p", "P") and (found := _PROPERTY.match(self._text, start)):
            self._at = found.end()
            return f"\\{c}{{{found[1]}}}"
        self._at += 1
        if c.lower() in _CLASSES and c:
            return _CLASSES[c] if c.islower() else f"[^{_CLASSES[c.lower()]}]"
        if c in _CONTROLS:
            return _CONTROLS[c]
        if c == "0" and not self._peek().isdigit():
            return 0
        if c == "c" and self._peek().isascii() and self._peek().isalpha():
            self._at += 1
            return ord(self._text[self._at - 1]) % 32
        if not c:
            raise self._wrong("nothing follows the backslash", start - 1)
        if c in ("b", "B"):
            raise self._wrong("word boundaries are not supported", start - 1)
        if c.isdigit() or c == "k":
            raise self._wrong("back references are not supported", start - 1)
        if c.isalpha():
            raise self._wrong(f"unknown escape `\\{c}`", start - 1)
        return ord(c)

    def _code_point(self, found: re.Match[str]) -> int:
        self._at = found.end()
        code = int(found[1] or found[2] or found[3], 16)
        low = _LOW.match(self._text, self._at) if 0xD800 <= code < 0xDC00 else None
        if low:
            self._at = low.end()
            return 0x10000 + ((code - 0xD800) << 10) + int(low[1], 16) - 0xDC00
        if code > _LAST or 0xD800 <= code < 0xE000:
            raise self._wrong("not a character", found.start() - 1)
        return code

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _wrong(self, what: str, at: int | None = None) -> PatternError:
        return PatternError(what, self._at if at is None else at)


def _char(code: int) -> str:
    c = chr(code)
    return c if c.isascii() and c.isalnum() else f"\\x{{{code:X}}}"
