"""Reads a GBNF grammar as llama.cpp does, and tells where and why llama.cpp would refuse it.

Some mistakes it does not refuse but dies of: what is repeated fewer times than at least, groups deeper than its stack.
Knows nothing of tokens: whether a `<token>` is in the vocabulary is for llama.cpp to tell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import groupby

_DEEPEST = 10_000
_MOST_ELEMENTS = 1 << 20
_LONGEST = 4 << 20
_MOST_REPEATS = 2_000
"""llama.cpp's own limit; a larger upper bound would mean none to it, so that it is refused here."""
_MOST_EMPTY = 16
"""What may be empty can be read in so many ways where it is repeated that llama.cpp would not come to an end."""
_NAME = re.compile(r"[a-zA-Z0-9-]+")
_SPACE = re.compile(r"(?:[ \t]|#[^\r\n]*)*")
_SPACE_OR_LINES = re.compile(r"(?:[ \t\r\n]|#[^\r\n]*)*")
_CHAR = re.compile(r'\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\U[0-9a-fA-F]{8}|\\[trn\\"\[\]-]|[^\\]', re.DOTALL)
_TOKEN = re.compile(r"!?<(?:\[\d+\]|[^\[>\0][^>]*|)>")
_REPEATED = re.compile(r"\{\s*(\d+)\s*(?:(,)\s*(\d*)\s*)?\}")


class GbnfError(Exception):
    """A mistake; the message goes on after `the grammar is wrong`."""

    def __init__(self, what: str, text: str = "", at: int | None = None) -> None:
        """`at`: the character of `text` that the mistake is at."""
        if at is None:
            super().__init__(f": {what}")
            return
        line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
        super().__init__(f" at line {line}, column {column}: {what}")


@dataclass(slots=True)
class _Element:
    at: int
    rule: str = ""
    """The rule or group that is meant; empty for characters and tokens."""
    size: int = 1
    optional: bool = False
    endless: bool = False
    loops: bool = False
    """Whether it was optional before it was repeated without end."""
    n_most: int = 1
    """How often it may come by its counts."""
    counted_at: int = 0
    skips: bool = False
    """Whether it was optional before it was counted."""


@dataclass(slots=True)
class _Rule:
    at: int
    alternatives: list[list[_Element]] = field(default_factory=lambda: [[]])


class Gbnf:
    """The rules of a grammar; groups are rules without a name of their own."""

    def __init__(self, text: str) -> None:
        """Raises GbnfError."""
        self._text = text
        self._at = 0
        self._rules: dict[str, _Rule] = {}
        if len(text) > _LONGEST:
            raise GbnfError(f"it is longer than {_LONGEST:,} characters")
        self._skip(lines=True)
        while self._at < len(text):
            self._rule()
        for rule in self._rules.values():
            for element in (each for elements in rule.alternatives for each in elements):
                if element.rule and element.rule not in self._rules:
                    raise self._wrong(f"there is no rule named {element.rule}", element.at)
        if "root" not in self._rules:
            raise GbnfError("it has no rule named root")
        self._check_counts()

    def check_recursion(self) -> None:
        """Raises GbnfError for a rule that can begin with itself, which llama.cpp refuses without saying where."""
        done: set[str] = set()
        for name in self._rules:
            path = {name: self._first(name)} if name not in done else {}
            while path:
                last = next(reversed(path))
                if not path[last]:
                    del path[last]
                    done.add(last)
                    continue
                element = path[last].pop()
                if element.loops or (element.endless and self._is_empty(element.rule)):
                    raise self._wrong("what may be empty is repeated without end", element.at)
                if element.rule in path:
                    raise self._wrong("a rule begins with itself (left recursion)", element.at)
                if element.rule and element.rule not in done:
                    path[element.rule] = self._first(element.rule)

    def _check_counts(self) -> None:
        """Raises GbnfError where what may be empty comes often, by a count or written out."""
        runs = [
            run
            for rule in self._rules.values()
            for elements in rule.alternatives
            for _, run in ((name, list(run)) for name, run in groupby(elements, key=lambda each: each.rule))
            if len(run) > 1 or run[0].n_most > 1
        ]
        empty = self._empty_rules() if any(run[0].rule for run in runs) else {}
        for run in runs:
            for part in [run] if run[0].rule else [[each] for each in run]:
                size = empty.get(part[0].rule, 1 if part[0].skips else 0)
                if size * sum(each.n_most for each in part) > _MOST_EMPTY:
                    what = (
                        "what may be empty comes too often, which can be read in too many ways: count what is not empty"
                    )
                    raise self._wrong(what, part[0].counted_at or part[0].at)

    def _empty_rules(self) -> dict[str, int]:
        """The rules that have an alternative of which nothing has to come, and how many parts it has."""
        used_by: dict[str, list[str]] = {}
        for name, rule in self._rules.items():
            for element in (each for elements in rule.alternatives for each in elements if each.rule):
                used_by.setdefault(element.rule, []).append(name)
        empty: dict[str, int] = {}
        todo = list(self._rules)
        while todo:
            name = todo.pop()
            alternatives = self._rules[name].alternatives
            found = [each for each in alternatives if all(e.optional or e.rule in empty for e in each)]
            if found and name not in empty:
                parts = max(sum(e.n_most * empty.get(e.rule, 1) for e in each) for each in found)
                empty[name] = min(max(1, parts), _MOST_EMPTY + 1)
                todo += used_by.get(name, ())
        return empty

    def _first(self, name: str) -> list[_Element]:
        """What a rule can begin with."""
        found: list[_Element] = []
        for elements in self._rules[name].alternatives:
            for element in elements:
                found.append(element)
                if not element.optional and not self._is_empty(element.rule):
                    break
        return found[::-1]

    def _is_empty(self, name: str) -> bool:
        """Whether a rule has an alternative with nothing in it."""
        return name in self._rules and not all(self._rules[name].alternatives)

    def _rule(self) -> None:
        start, name = self._at, self._take(_NAME, "expecting the name of a rule")
        self._skip()
        self._expect("::=")
        self._skip(lines=True)
        rule = self._rules[name] = _Rule(start)
        open_groups: list[tuple[_Rule, int]] = []
        while True:
            c = self._text[self._at : self._at + 1]
            if c == "(":
                if len(open_groups) == _DEEPEST:
                    raise self._wrong(f"groups are nested deeper than {_DEEPEST:,}", self._at)
                open_groups.append((rule, self._at))
                rule = self._rules[f"({self._at}"] = _Rule(self._at)
                self._next(1, lines=True)
            elif c == ")" and open_groups:
                (rule, start) = open_groups.pop()
                rule.alternatives[-1].append(_Element(start, f"({start}"))
                self._next(1, lines=bool(open_groups))
            elif c == "|":
                rule.alternatives.append([])
                self._next(1, lines=True)
            elif c and c in "*+?{":
                self._repeat(rule.alternatives[-1], lines=bool(open_groups))
            elif element := self._element(c):
                if element.size:
                    rule.alternatives[-1].append(element)
                self._skip(lines=bool(open_groups))
            else:
                break
        if open_groups:
            raise self._wrong("expecting ')' for the group that begins here", open_groups[-1][1])
        if self._at < len(self._text) and self._text[self._at] not in "\r\n":
            raise self._wrong("expecting a new line or the end", self._at)
        self._skip(lines=True)

    def _element(self, c: str) -> _Element | None:
        start = self._at
        if c == '"':
            return _Element(start, size=self._chars('"', "the text"))
        if c == "[":
            if self._text.startswith("^", start + 1):
                self._at += 1
            return _Element(start, size=self._chars("]", "the set"))
        if c == ".":
            self._at += 1
            return _Element(start)
        if c in ("<", "!"):
            self._take(_TOKEN, "expecting a token, as in <[7]> or <name>")
            return _Element(start)
        name = _NAME.match(self._text, start) if c else None
        if name is None:
            return None
        self._at = name.end()
        return _Element(start, name[0])

    def _chars(self, end: str, what: str) -> int:
        """Reads to the end of a literal or a set; returns how many characters it has."""
        start, n = self._at, 0
        self._at += 1
        while not self._text.startswith(end, self._at):
            if self._at == len(self._text):
                raise self._wrong(f"{what} that begins here has no end ({end})", start)
            self._take(_CHAR, "an escape that there is not")
            n += 1
        self._at += 1
        return n

    def _repeat(self, elements: list[_Element], *, lines: bool) -> None:
        if not elements:
            raise self._wrong("expecting something to repeat before this", self._at)
        element, start = elements[-1], self._at
        least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(self._text[start], (0, 0))
        if self._text[start] == "{":
            counts = _REPEATED.match(self._text, start)
            if counts is None:
                raise self._wrong("expecting counts, as in {2}, {2,} or {2,5}", start)
            least = int(counts[1])
            most = least if not counts[2] else int(counts[3]) if counts[3] else None
            self._at = counts.end() - 1
        if most is not None and most < least:
            raise self._wrong(f"at least {least} but at most {most} times", start)
        if least > _MOST_REPEATS or element.size * max(least, 1) > _MOST_ELEMENTS:
            raise self._wrong(f"repeated too often (at most {_MOST_REPEATS:,} times)", start)
        if most is not None and most > _MOST_REPEATS:
            instead = f"write {{{least},}} for no limit, or {{{least},{_MOST_REPEATS}}}"
            counted = f"no limit to llama.cpp, which counts to {_MOST_REPEATS:,}"
            raise self._wrong(f"at most {most:,} times is {counted}: {instead}", start)
        if most is None or most > 1:
            element.skips = element.skips or element.optional
            element.counted_at = start
            element.n_most *= least if most is None else most
        element.size *= max(least, 1)
        if most is None:
            element.endless, element.loops = True, element.optional
        element.optional = element.optional or least == 0
        self._next(1, lines=lines)

    def _next(self, n: int, *, lines: bool) -> None:
        self._at += n
        self._skip(lines=lines)

    def _skip(self, *, lines: bool = False) -> None:
        found = (_SPACE_OR_LINES if lines else _SPACE).match(self._text, self._at)
        self._at = found.end() if found else self._at

    def _expect(self, mark: str) -> None:
        if not self._text.startswith(mark, self._at):
            raise self._wrong(f"expecting {mark}", self._at)
        self._at += len(mark)

    def _take(self, pattern: re.Pattern[str], otherwise: str) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise self._wrong(otherwise, self._at)
        self._at = found.end()
        return found[0]

    def _wrong(self, what: str, at: int) -> GbnfError:
        return GbnfError(what, self._text, at)
