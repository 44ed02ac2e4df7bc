"""Grammars: GBNF text or a JSON schema becomes a llama.cpp grammar that a reply cannot leave.

A wrong one is a SamplingError with its position, found before llama.cpp could die of it. Accepting a token that the
grammar forbids, which would abort the process, cannot happen: every token is asked about first.
"""

from __future__ import annotations

import ctypes
import json
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from typing import IO

from app.domain.gbnf import Gbnf, GbnfError
from app.domain.sampling import SamplingParams
from app.engine.core.backend import SamplingError
from app.engine.native.bindings import C, Native, json_schema_to_gbnf
from app.engine.native.model import NativeModel
from app.engine.native.vocab import on_big_stack
from app.engine.text.schema import place_of, prepared, too_many

_ROOT = b"root"


class Grammar:
    """Owns a llama_sampler of the grammar kind."""

    def __init__(self, model: NativeModel, gbnf: str, name: str = "the grammar") -> None:
        """`name`: what is told to be wrong. Raises SamplingError with line and column of it."""
        vocab = C.llama_model_get_vocab(model.handle)
        try:
            read = Gbnf(gbnf)
            with _stderr() as said:
                # It goes down into groups, and from rule to rule, by recursion.
                self._handle: Native = on_big_stack(lambda: C.llama_sampler_init_grammar(vocab, gbnf.encode(), _ROOT))
                said.seek(0)
                message = said.read().decode("utf-8", "replace")
            if not self._handle:
                read.check_recursion()
                raise SamplingError(f"{name} is wrong{_explain(message, gbnf)}")
        except GbnfError as error:
            raise SamplingError(f"{name} is wrong{error}") from error
        self._one = (C.llama_token_data * 1)()
        self._array = C.llama_token_data_array(self._one, 1, -1, False)

    @staticmethod
    def from_params(model: NativeModel, params: SamplingParams) -> Grammar | None:
        """The grammar that `params` asks for, or None. Raises SamplingError."""
        if params.grammar is not None and params.json_schema is not None:
            raise SamplingError("a grammar and a JSON schema cannot both apply")
        if params.json_schema is not None:
            return Grammar(model, _schema_to_gbnf(params.json_schema), "the grammar that the JSON schema becomes")
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
        schema = prepared(json.loads(text))
    except json.JSONDecodeError as error:
        raise SamplingError(
            f"the JSON schema is not JSON: line {error.lineno}, column {error.colno}: {error.msg}"
        ) from error
    if beyond := too_many(schema):
        raise SamplingError(f"the JSON schema cannot be turned into a grammar {beyond}")
    try:
        return json_schema_to_gbnf(json.dumps(schema))
    except RecursionError as error:
        raise SamplingError("the JSON schema is nested too deeply or allows too many repetitions") from error
    except Exception as error:
        place = place_of(schema, error, json_schema_to_gbnf)
        # What is no text of the converter's own (a KeyError, say) is no text for people either.
        said = isinstance(error, AssertionError | ValueError | NotImplementedError)
        what = str(error).partition(" (use ")[0] if said else "this is not supported"
        at = f" at {place}" if place else ""
        raise SamplingError(f"the JSON schema cannot be turned into a grammar{at}: {what}") from error


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
        return f": {' '.join(said.split()) or 'llama.cpp refuses it'}"
    what, at, rest = message.partition(" at ")
    if not at:
        return f": {message.splitlines()[0]}"
    rest = rest[: -len(gbnf) - 3] if rest.endswith(f"\n\n{gbnf}\n") else rest
    return str(GbnfError(what, gbnf, len(gbnf) - len(rest) if gbnf.endswith(rest) else len(gbnf)))
