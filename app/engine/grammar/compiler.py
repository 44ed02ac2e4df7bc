"""Compiles the constraint of a request to a `Matcher`; keeps compiled grammars and copies them.

Compiling takes from milliseconds to a second and can run in another thread than the loop, ahead of the request. An
error in a grammar is a SamplingError with its place.
"""

from __future__ import annotations

import json
import re
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import msgspec

from app.domain.sampling import CONSTRAINTS, SamplingParams, thinking_params
from app.engine.core.backend import ComputeError, SamplingError
from app.engine.grammar.gbnf import GbnfError, TokenIds, read_gbnf
from app.engine.grammar.lexemes import to_lark
from app.engine.grammar.matcher import GrammarVocab, Matcher, first_line, make_tokenizer
from app.engine.grammar.pattern import PatternError, whole
from app.engine.grammar.schema import read_schema

_N_KEPT = 16
"""Compiled grammars to keep: enough for a batch whose requests have different schemas."""
_OPTIONS = '\n%llguidance {"no_forcing": true}\n'
"""The model chooses how to cut forced text into tokens; llguidance must not tokenise it."""
_MOST_AT_ONCE = 10_000
"""Limit for the parser items in a row: four for each of 1,000 optional keys, and some more."""
_LAYOUT = {"whitespace_flexible": False, "item_separator": ", ?", "key_separator": ": ?"}
"""White space in JSON: at most one space after a comma or colon, so that a model cannot spend its budget on it."""
_PLACE = re.compile(r"^(?:at )?(\d+)\((\d+)\): ")
"""Line and column in a message of llguidance."""
_Key = tuple[str, str, bool]


@dataclass(frozen=True, slots=True)
class _Compiled:
    prototype: Matcher
    notices: tuple[str, ...] = ()


class Grammars:
    """Compiles constraints for one model. Thread-safe."""

    def __init__(self, vocab: GrammarVocab, token_ids: TokenIds) -> None:
        """`token_ids`: the ids for a token's name in GBNF; may raise SamplingError."""
        self._vocab = vocab
        self._token_ids = token_ids
        self._tokenizer: Any = None
        self._compiled: OrderedDict[_Key, _Compiled] = OrderedDict()
        self._kept, self._compiling = threading.Lock(), threading.Lock()

    def prepare(self, params: SamplingParams) -> tuple[str, ...]:
        """Compiles the constraint of a request ahead of it; returns notices for the user. Raises SamplingError."""
        try:
            inside = thinking_params(params)
        except msgspec.ValidationError:
            inside = None  # the sampler reports the error
        sets = [each for each in (params, inside) if each is not None]
        return tuple(notice for each in sets if (found := self._find(each)) for notice in found.notices)

    def matcher(self, params: SamplingParams) -> Matcher | None:
        """A matcher at the start of the request's grammar; None without a constraint. Raises SamplingError."""
        found = self._find(params)
        return found.prototype.copy() if found else None

    def _find(self, params: SamplingParams) -> _Compiled | None:
        given = [name for name in CONSTRAINTS if getattr(params, name) is not None]
        if not given:
            return None
        if len(given) > 1:
            raise SamplingError(f"{' and '.join(given)} exclude each other")
        key = (given[0], getattr(params, given[0]), params.schema_lenient)
        if found := self._look_up(key):
            return found
        with self._compiling:  # a request whose grammar is compiled does not wait for one that is compiling
            if found := self._look_up(key):
                return found
            made = self._compile(*key)
            with self._kept:
                self._compiled[key] = made
                if len(self._compiled) > _N_KEPT:
                    self._compiled.popitem(last=False)
            return made

    def _look_up(self, key: _Key) -> _Compiled | None:
        with self._kept:
            if found := self._compiled.get(key):
                self._compiled.move_to_end(key)
            return found

    def _compile(self, kind: str, text: str, lenient: bool) -> _Compiled:
        match kind:
            case "json_schema":
                return self._schema(text, lenient=lenient)
            case "regex":
                return _Compiled(self._regex(text))
            case "lark":
                return _Compiled(self._matcher(_lark(text), "the Lark grammar is wrong"))
            case _:
                return _Compiled(self._gbnf(text))

    def _schema(self, text: str, *, lenient: bool) -> _Compiled:
        schema = read_schema(text, lenient=lenient)
        matcher = self._start(_json(schema.clean))
        if matcher.is_error():
            message = first_line(matcher.get_error())
            raise SamplingError(schema.blame(message, self._refusal))
        return _Compiled(self._begin(matcher, "the JSON schema cannot be used"), schema.notices)

    def _refusal(self, schema: dict[str, Any]) -> str:
        """llguidance's message about a subschema; empty if it accepts it."""
        matcher = self._start(_json(schema))
        return first_line(matcher.get_error()) if matcher.is_error() else ""

    def _regex(self, text: str) -> Matcher:
        try:
            pattern = whole(text)
        except PatternError as error:
            raise SamplingError(f"the regular expression is wrong{error}") from error
        return self._matcher(_lark(f"start: /{pattern}/"), "the regular expression cannot be used")

    def _gbnf(self, text: str) -> Matcher:
        try:
            lark = to_lark(read_gbnf(text), self._token_ids, self._vocab.eog)
        except GbnfError as error:
            raise SamplingError(f"the grammar is wrong{error}") from error
        except RecursionError as error:
            raise SamplingError("the grammar is wrong: its rules are nested too deeply") from error
        return self._matcher(_lark(lark), "the grammar cannot be used")

    def _matcher(self, grammar: str, wrong: str) -> Matcher:
        matcher = self._start(grammar)
        if matcher.is_error():
            message = first_line(matcher.get_error())
            place = _PLACE.match(message)
            at = f" at line {place[1]}, column {place[2]}" if place else ""
            raise SamplingError(f"{wrong}{at}: {message[place.end() if place else 0 :]}")
        return self._begin(matcher, wrong)

    def _begin(self, matcher: Any, wrong: str) -> Matcher:  # noqa: ANN401 -- an LLMatcher
        """Wraps an LLMatcher. Raises SamplingError with the prefix `wrong` if it allows no text."""
        made = Matcher(matcher, self._vocab.n_vocab, self._vocab.eog)
        try:
            if made.copy().mask().any():
                return made
        except ComputeError as error:
            raise SamplingError(f"{wrong}: {error}") from error
        raise SamplingError(f"{wrong}: it allows no text")

    def _start(self, grammar: str) -> Any:  # noqa: ANN401 -- an LLMatcher
        """An LLMatcher at the start of a grammar, possibly in its error state. Raises SamplingError."""
        import llguidance

        if self._tokenizer is None:
            try:
                self._tokenizer = make_tokenizer(self._vocab)
            except ValueError as error:
                raise SamplingError(str(error)) from error
        limits = llguidance.LLParserLimits(max_items_in_row=_MOST_AT_ONCE, verbose_errors=False)
        return llguidance.LLMatcher(self._tokenizer, grammar, log_level=0, limits=limits)


def _lark(text: str) -> str:
    return json.dumps({"grammars": [{"lark_grammar": text + _OPTIONS}]})


def _json(schema: dict[str, Any]) -> str:
    answer = {"name": "answer", "json_schema": schema | {"x-guidance": _LAYOUT}}
    return json.dumps({"grammars": [{"lark_grammar": f"start: @answer{_OPTIONS}"}, answer]})
