"""A vocabulary of single bytes, some longer pieces and some tokens that are no text, for grammars without a model."""

from __future__ import annotations

import json
from collections.abc import Iterable

import numpy as np

from app.domain.sampling import SamplingParams
from app.engine.core.backend import SamplingError
from app.engine.grammar.compiler import Grammars
from app.engine.grammar.matcher import Matcher

EOG, OTHER_EOG, THINK, UNUSED, EMPTY, HELLO, BRACE_QUOTE = 256, 257, 258, 259, 260, 261, 262
_NAMED = {EOG: b"<eos>", OTHER_EOG: b"<|im_end|>", THINK: b"<think>", UNUSED: b"<unused1>"}
_TEXT = {EMPTY: b"", HELLO: b"hello", BRACE_QUOTE: b'{"'}


class ByteVocab:
    """Implements `app.engine.grammar.matcher.GrammarVocab`."""

    n_vocab = 263
    eog = frozenset((EOG, OTHER_EOG))
    non_text = (EOG, OTHER_EOG, THINK, UNUSED)
    pieces = {byte: bytes([byte]) for byte in range(256)} | dict.fromkeys(_NAMED, b"") | _TEXT
    named_pieces = pieces | _NAMED


def token_ids(name: str) -> list[int]:
    """As a model finds them."""
    if name.startswith("#"):
        if int(name[1:]) >= ByteVocab.n_vocab:
            raise SamplingError(f"there is no token {name}: the vocabulary has {ByteVocab.n_vocab}")
        return [int(name[1:])]
    named = [token for token, text in _NAMED.items() if text == name.encode()]
    return named or list(name.encode())


def grammars() -> Grammars:
    return Grammars(ByteVocab(), token_ids)


_SHARED = grammars()


def matcher(**given: object) -> Matcher:
    """A matcher at the beginning of what the fields of `SamplingParams` ask for."""
    if "json_schema" in given and not isinstance(given["json_schema"], str):
        given["json_schema"] = json.dumps(given["json_schema"])
    found = _SHARED.matcher(SamplingParams(**given))  # type: ignore[arg-type]
    assert found is not None
    return found


def notices(**given: object) -> tuple[str, ...]:
    return _SHARED.prepare(SamplingParams(**given))  # type: ignore[arg-type]


def accepts(start: Matcher, text: str | bytes) -> bool:
    """Whether `text` is a whole answer."""
    state = start.copy()
    data = text.encode() if isinstance(text, str) else text
    return all(state.accept(byte) for byte in data) and state.complete


def allowed(state: Matcher) -> set[int]:
    """The tokens that may come next."""
    return set(np.flatnonzero(state.mask()).tolist())


def texts(tokens: Iterable[int]) -> str:
    """Single bytes as text."""
    return "".join(chr(token) for token in tokens if token < 128)
