"""Converts GBNF to Lark for llguidance, and decides which parts become one lexeme.

llguidance cuts text into lexemes, taking the longest match, before it parses. A part may become one lexeme only if that
cannot change what is allowed: if no character of it can come at the same time as an overlapping one from elsewhere in
the grammar. Then there is one way to read it, and the longest match is the only one. Everything else is parsed
character by character. Follow sets are merged over all uses of a rule, which only makes lexemes rarer, never wrong.
"""

from __future__ import annotations

from collections import defaultdict

from app.engine.grammar.gbnf import Chars, Choice, Gbnf, GbnfError, Node, Ref, Repeat, Row, Token, TokenIds, children

_MOST_NODES, _MOST_RULES, _MOST_PLACES = 20_000, 500, 1_500
"""Limits: nodes of a grammar; rules and characters up to which characters are compared. Beyond, each is a lexeme."""
_LONGEST_REGEX = 100_000
_Terminal = Chars | Token


def to_lark(grammar: Gbnf, token_ids: TokenIds, eog: frozenset[int]) -> str:
    """The grammar as llguidance's Lark. Raises GbnfError if it is too large or names an unknown token."""
    return _Writer(grammar, token_ids, eog).write()


class _Writer:
    def __init__(self, grammar: Gbnf, token_ids: TokenIds, eog: frozenset[int]) -> None:
        self._rules = grammar.rules
        if sum(map(_n_nodes, self._rules.values())) > _MOST_NODES:
            raise GbnfError(f"it has more than {_MOST_NODES:,} characters, sets and rules")
        self._token_ids, self._eog = token_ids, eog
        self._names = {name: f"r{i}" for i, name in enumerate(self._rules)} | {"root": "start"}
        self._places = _Places(grammar)
        self._regular = _regular_rules(grammar)
        self._texts: dict[str, str | None] = {}
        """Regexes by rule; None for one that is too long."""

    def write(self) -> str:
        root = self._rules["root"]
        whole = self._regex(root, self._regular) if "root" in self._regular else None
        if whole is not None:  # an automaton follows all readings at once
            return f"start: /{whole}/\n"
        alone = self._places.alone()
        sure = {name for name in self._regular if self._is_sure(self._rules[name], alone, set())}
        lines = [f"{self._names[name]}: {self._lark(node, alone, sure)}" for name, node in self._rules.items()]
        return "\n".join(lines) + "\n"

    def _is_sure(self, node: Node, alone: set[_Terminal], seen: set[str]) -> bool:
        """True if each character in `node` can be read in one way only."""
        if isinstance(node, Chars):
            return node in alone
        if isinstance(node, Token):
            return False
        if isinstance(node, Ref):
            if node.name in seen:
                return True
            seen.add(node.name)
            return node.name in self._regular and self._is_sure(self._rules[node.name], alone, seen)
        return all(self._is_sure(each, alone, seen) for each in children(node))

    def _lark(self, node: Node, alone: set[_Terminal], sure: set[str]) -> str:  # noqa: PLR0911 -- one a kind of node
        if self._is_sure(node, alone, set()) and not self._places.is_empty(node):
            regex = self._regex(node, sure)
            if regex:
                return f"/{regex}/"
        match node:
            case Chars():
                return f"/{_class(node)}/"
            case Token():
                return self._token(node)
            case Ref(name):
                return self._names[name]
            case Row(parts):
                return " ".join(self._lark(each, alone, sure) for each in parts) or '""'
            case Choice(ways):
                return f"({' | '.join(self._lark(each, alone, sure) for each in ways)})"
            case Repeat(inner, least, most):
                if least == 0 and self._is_sure(inner, alone, set()) and not self._places.is_empty(inner) and most != 0:
                    return f"({self._lark(Repeat(inner, 1, most), alone, sure)})?"
                return f"({self._lark(inner, alone, sure)}){_suffix(least, most)}"

    def _token(self, node: Token) -> str:
        ids = self._token_ids(node.name)
        if len(ids) != 1:
            raise GbnfError(f"{node.name} is not a token of this model")
        if node.negated:
            return f"<[^{','.join(map(str, sorted({*ids, *self._eog})))}]>"
        return f"<[{ids[0]}]>"

    def _regex(self, node: Node, regular: set[str]) -> str | None:
        """A regex for a node; None if it has recursion or a token, or would be too long or deep."""
        try:
            return self._text(node, regular)
        except (_TooLongError, RecursionError):
            return None

    def _text(self, node: Node, regular: set[str]) -> str:
        match node:
            case Chars():
                return _class(node)
            case Token():
                raise _TooLongError
            case Ref(name):
                if name not in regular:
                    raise _TooLongError
                text = self._rule_text(name, regular)
            case Row(parts):
                text = "".join(self._text(each, regular) for each in parts)
            case Choice(ways):
                text = f"(?:{'|'.join(self._text(each, regular) for each in ways)})"
            case Repeat(inner, least, most):
                text = f"(?:{self._text(inner, regular)}){_suffix(least, most)}"
        if len(text) > _LONGEST_REGEX:
            raise _TooLongError
        return text

    def _rule_text(self, name: str, regular: set[str]) -> str:
        """The regex of a rule, cached. Raises _TooLongError."""
        if name not in self._texts:
            self._texts[name] = None
            self._texts[name] = f"(?:{self._text(self._rules[name], regular)})"
        text = self._texts[name]
        if text is None:
            raise _TooLongError
        return text


class _TooLongError(Exception):
    pass


class _Places:
    """The characters of a grammar, and which of them can come next at the same time."""

    def __init__(self, grammar: Gbnf) -> None:
        self._rules = grammar.rules
        self._empty: set[str] = set()
        users, todo = _users(self._rules), list(self._rules)
        while todo:
            name = todo.pop()
            if name not in self._empty and self.is_empty(self._rules[name]):
                self._empty.add(name)
                todo += users[name]
        self._firsts = {name: set[_Terminal]() for name in self._rules}
        self._after_rule = {name: set[_Terminal]() for name in self._rules}
        self._after: dict[_Terminal, set[_Terminal]] = defaultdict(set)
        if len(self._rules) > _MOST_RULES or sum(map(_n_places, self._rules.values())) > _MOST_PLACES:
            return
        size = -1
        while size != (size := self._size()):
            for name, node in reversed(self._rules.items()):
                self._firsts[name] |= self._first(node)
            for name, node in self._rules.items():
                self._follow(node, self._after_rule[name])

    def is_empty(self, node: Node) -> bool:
        """True if a node can match the empty text."""
        match node:
            case Chars() | Token():
                return False
            case Ref(name):
                return name in self._empty
            case Row(parts):
                return all(map(self.is_empty, parts))
            case Choice(ways):
                return any(map(self.is_empty, ways))
            case Repeat(inner, least, _):
                return least == 0 or self.is_empty(inner)

    def alone(self) -> set[_Terminal]:
        """The characters that can never come at the same time as another one that they overlap."""
        together: set[tuple[_Terminal, _Terminal]] = set()
        todo: list[tuple[set[_Terminal], set[_Terminal]]] = [(self._firsts["root"], self._firsts["root"])]
        todo += [(after, after) for after in self._after.values()]
        while todo:
            ours, theirs = todo.pop()
            for one in ours:
                for other in theirs:
                    if one is not other and (one, other) not in together and _overlap(one, other):
                        together |= {(one, other), (other, one)}
                        todo.append((self._after[one], self._after[other]))
        shared = {one for one, _ in together}
        return {place for place in self._after if place not in shared}

    def _size(self) -> int:
        return sum(map(len, (*self._firsts.values(), *self._after_rule.values(), *self._after.values())))

    def _first(self, node: Node) -> set[_Terminal]:
        match node:
            case Chars() | Token():
                return {node}
            case Ref(name):
                return self._firsts[name]
            case Row(parts):
                found: set[_Terminal] = set()
                for each in parts:
                    found |= self._first(each)
                    if not self.is_empty(each):
                        break
                return found
            case Choice(ways):
                return set[_Terminal]().union(*map(self._first, ways))
            case Repeat(inner, _, _):
                return self._first(inner)

    def _follow(self, node: Node, after: set[_Terminal]) -> None:
        """Adds to the follow set of each character in `node`; `after` follows the node."""
        match node:
            case Chars() | Token():
                self._after[node] |= after
            case Ref(name):
                self._after_rule[name] |= after
            case Row(parts):
                for each in reversed(parts):
                    self._follow(each, after)
                    first = self._first(each)
                    after = after | first if self.is_empty(each) else set(first)
            case Choice(ways):
                for each in ways:
                    self._follow(each, after)
            case Repeat(inner, _, most):
                self._follow(inner, after if most == 1 else after | self._first(inner))


def _n_nodes(node: Node) -> int:
    return 1 + sum(map(_n_nodes, children(node)))


def _n_places(node: Node) -> int:
    return 1 if isinstance(node, Chars | Token) else sum(map(_n_places, children(node)))


def _regular_rules(grammar: Gbnf) -> set[str]:
    """The rules without recursion."""
    users = _users(grammar.rules)
    n_open = {name: len(_refs(node)) for name, node in grammar.rules.items()}
    todo = [name for name, n in n_open.items() if not n]
    regular: set[str] = set()
    while todo:
        name = todo.pop()
        regular.add(name)
        for user in users[name]:
            n_open[user] -= 1
            if not n_open[user]:
                todo.append(user)
    return regular


def _users(rules: dict[str, Node]) -> dict[str, list[str]]:
    """The rules that refer to each rule."""
    users: dict[str, list[str]] = {name: [] for name in rules}
    for name, node in rules.items():
        for ref in _refs(node):
            users[ref].append(name)
    return users


def _refs(node: Node) -> set[str]:
    if isinstance(node, Ref):
        return {node.name}
    return set[str]().union(*map(_refs, children(node)))


def _overlap(one: _Terminal, other: _Terminal) -> bool:
    if isinstance(one, Token) or isinstance(other, Token):
        return True
    return any(low <= high2 and low2 <= high for low, high in one.ranges for low2, high2 in other.ranges)


def _class(chars: Chars) -> str:
    inside = "".join(f"\\x{{{low:X}}}" + (f"-\\x{{{high:X}}}" if high > low else "") for low, high in chars.ranges)
    return f"[{inside}]" if inside else "[^\\x{0}-\\x{10FFFF}]"


def _suffix(least: int, most: int | None) -> str:
    return {(0, None): "*", (1, None): "+", (0, 1): "?"}.get(
        (least, most), f"{{{least},{'' if most is None else most}}}"
    )
