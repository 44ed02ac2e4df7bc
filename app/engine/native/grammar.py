"""Grammars: GBNF text or a JSON schema becomes a llama.cpp grammar that a reply cannot leave.

A wrong one is a SamplingError with its position; accepting a token that the grammar forbids, which would abort the
process, cannot happen: every token is asked about first.
"""

from __future__ import annotations

import ctypes
import json
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from typing import IO

from app.domain.sampling import SamplingParams
from app.engine.core.backend import SamplingError
from app.engine.native.bindings import C, Native, json_schema_to_gbnf
from app.engine.native.model import NativeModel

_ROOT = b"root"


class Grammar:
    """Owns a llama_sampler of the grammar kind."""

    def __init__(self, model: NativeModel, gbnf: str) -> None:
        """Raises SamplingError with line and column where llama.cpp stumbled."""
        vocab = C.llama_model_get_vocab(model.handle)
        with _stderr() as said:
            self._handle: Native = C.llama_sampler_init_grammar(vocab, gbnf.encode(), _ROOT)
            said.seek(0)
            message = said.read().decode("utf-8", "replace")
        if not self._handle:
            raise SamplingError(_explain(message, gbnf))
        self._one = (C.llama_token_data * 1)()
        self._array = C.llama_token_data_array(self._one, 1, -1, False)

    @staticmethod
    def from_params(model: NativeModel, params: SamplingParams) -> Grammar | None:
        """The grammar that `params` asks for, or None. Raises SamplingError."""
        if params.grammar is not None and params.json_schema is not None:
            raise SamplingError("a grammar and a JSON schema cannot both apply")
        if params.json_schema is not None:
            return Grammar(model, _schema_to_gbnf(params.json_schema))
        return Grammar(model, params.grammar) if params.grammar is not None else None

    def allows(self, token: int) -> bool:
        """Whether `token` may come next."""
        self._one[0] = (token, 0.0, 0.0)
        C.llama_sampler_apply(self._handle, ctypes.byref(self._array))
        return bool(self._one[0].logit == 0.0)

    def filter(self, array: Native) -> None:
        """Sets the logits of all candidates that may not come next to -inf."""
        C.llama_sampler_apply(self._handle, ctypes.byref(array))

    def accept(self, token: int) -> None:
        """Moves on by a token that `allows` allowed."""
        C.llama_sampler_accept(self._handle, token)

    def close(self) -> None:
        """Frees the grammar. Idempotent."""
        if self._handle:
            C.llama_sampler_free(self._handle)
            self._handle = None


def _schema_to_gbnf(text: str) -> str:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise SamplingError(
            f"the JSON schema is not JSON: line {error.lineno}, column {error.colno}: {error.msg}"
        ) from error
    try:
        return json_schema_to_gbnf(text)
    except Exception as error:
        raise SamplingError(
            f"the JSON schema cannot be turned into a grammar: {error or type(error).__name__}"
        ) from error


@contextmanager
def _stderr() -> Generator[IO[bytes]]:
    """Collects what C code prints on fd 2: the only place where llama.cpp tells of a grammar's mistakes."""
    with tempfile.TemporaryFile() as file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield file
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _explain(said: str, gbnf: str) -> str:
    """Turns llama.cpp's message, which quotes the rest of the text, into a position."""
    _, found, message = said.partition("error parsing grammar: ")
    if not found:
        return f"the grammar is wrong: {' '.join(said.split()) or 'it has no rule named root'}"
    what, at, rest = message.partition(" at ")
    if not at:
        return f"the grammar is wrong: {message.splitlines()[0]}"
    rest = rest[: -len(gbnf) - 3] if rest.endswith(f"\n\n{gbnf}\n") else rest
    before = gbnf[: len(gbnf) - len(rest)] if gbnf.endswith(rest) else gbnf
    line = before.count("\n") + 1
    column = len(before) - (before.rfind("\n") + 1) + 1
    return f"the grammar is wrong at line {line}, column {column}: {what}"
