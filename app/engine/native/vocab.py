"""A model's vocabulary, in tables that fill on use, and tokenisation that cannot overflow the stack."""

from __future__ import annotations

import ctypes
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TypeVar

import numpy as np

from app.engine.native.library import C, Native
from app.engine.text.tokenizer import SpecialToken

_PIECE_BYTES = 4096
_SAFE_BYTES = 8192
"""Longer texts can overflow the stack in the std::regex of some pre-tokenizers."""
_BIG_STACK_BYTES = 512 << 20
_UNKNOWN, _UNUSED, _CONTROL, _USER_DEFINED, _LSTRIP, _RSTRIP = 1, 2, 8, 16, 128, 256
_STACK_SIZE = threading.Lock()
"""Guards the stack size, which holds for all new threads of the process."""
T = TypeVar("T")


class _Pieces(dict[int, bytes]):
    """Token bytes by id, each read on first use: reading all takes longer than loading a small model."""

    def __init__(self, vocab: Native, n_vocab: int, named: bool) -> None:
        super().__init__()
        self._vocab, self._n_vocab, self._named = vocab, n_vocab, named

    def __missing__(self, token: int) -> bytes:
        if not 0 <= token < self._n_vocab:
            raise IndexError(f"token {token} of {self._n_vocab}")  # llama.cpp would abort the process
        buffer = ctypes.create_string_buffer(_PIECE_BYTES)  # one a call: several threads may read
        n: int = C.llama_token_to_piece(self._vocab, token, buffer, _PIECE_BYTES, 0, self._named)
        piece = self[token] = buffer.raw[: max(n, 0)]
        return piece


class NativeVocab:
    """Implements `app.engine.text.tokenizer.Vocab` for one model."""

    def __init__(self, model: Native) -> None:
        vocab = C.llama_model_get_vocab(model)
        self._vocab = vocab
        self.n_vocab: int = C.llama_vocab_n_tokens(vocab)
        self.named_pieces = _Pieces(vocab, self.n_vocab, named=True)
        self.pieces = _Pieces(vocab, self.n_vocab, named=False)
        self._unused: list[int] = []
        self.special = self._read_special()
        self.eog = frozenset(i for i in range(self.n_vocab) if C.llama_vocab_is_eog(vocab, i))
        self.bos = self._token(C.llama_vocab_bos(vocab))
        self.eos = self._token(C.llama_vocab_eos(vocab))
        self.add_bos = bool(C.llama_vocab_get_add_bos(vocab))

    def _token(self, token: int) -> int | None:
        return token if 0 <= token < self.n_vocab else None

    def _read_special(self) -> list[SpecialToken]:
        vocab, found = self._vocab, list[SpecialToken]()
        for i in range(self.n_vocab):
            attributes: int = C.llama_vocab_get_attr(vocab, i)
            if attributes & _UNUSED:
                self._unused.append(i)
            if attributes & (_CONTROL | _USER_DEFINED | _UNKNOWN) and (text := C.llama_vocab_get_text(vocab, i)):
                found.append(_special(text, i, attributes))
        return sorted(found, key=lambda token: -len(token.text))

    def show(self, tokens: Iterable[int]) -> None:
        """Implements `Vocab.show`."""
        self.pieces.update((token, self.named_pieces[token]) for token in tokens)

    @property
    def non_text(self) -> list[int]:
        """Ids of tokens without text: control tokens, tags such as `<think>`, unknown and unused tokens."""
        tags = (token.id for token in self.special if not token.user_defined or _is_tag(token.text))
        return [*tags, *self._unused]

    def tokenize(self, text: bytes) -> list[int]:
        """Implements `Vocab.tokenize`, on a thread with a large stack for a long text."""
        if not text:
            return []
        if len(text) <= _SAFE_BYTES:
            return self._tokenize(text)
        return _on_big_stack(lambda: self._tokenize(text))

    def _tokenize(self, text: bytes) -> list[int]:
        capacity = len(text) + 16
        ids = np.empty(capacity, np.int32)
        pointer = ids.ctypes.data_as(C.llama_token_p)
        n = C.llama_tokenize(self._vocab, text, len(text), pointer, capacity, False, False)
        if n < 0:
            raise ValueError(f"llama_tokenize asked for {-n} tokens for {len(text)} bytes")
        return ids[:n].tolist()


def _is_tag(text: bytes) -> bool:
    return text[:1] in (b"<", b"[") and text[-1:] in (b">", b"]") and len(text) > 2


def _special(text: bytes, token: int, attributes: int) -> SpecialToken:
    return SpecialToken(
        text=text,
        id=token,
        control=bool(attributes & _CONTROL),
        user_defined=bool(attributes & _USER_DEFINED),
        unknown=bool(attributes & _UNKNOWN),
        lstrip=bool(attributes & _LSTRIP),
        rstrip=bool(attributes & _RSTRIP),
    )


def _on_big_stack(work: Callable[[], T]) -> T:
    """Runs `work` in a thread with a stack of 512 MiB, for the recursion of std::regex; raises what it raises."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # raised in the caller below
            errors.append(error)

    with _STACK_SIZE:
        before = threading.stack_size(_BIG_STACK_BYTES)
        try:
            thread = threading.Thread(target=run, name="big stack")
            thread.start()
        finally:
            threading.stack_size(before)
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


class PieceIndex:
    """Finds the tokens of one vocabulary by the beginning or a part of their text; never control tokens."""

    def __init__(self, vocab: NativeVocab) -> None:
        self._vocab = vocab

    def starting_with(self, text: bytes) -> list[int]:
        """Ids of the tokens whose text begins with `text`."""
        at, found = bisect_left(self._pieces, (text, -1)), list[int]()
        while at < len(self._pieces) and self._pieces[at][0].startswith(text):
            found.append(self._pieces[at][1])
            at += 1
        return found

    def containing(self, text: bytes) -> list[int]:
        """Ids of the tokens whose text contains `text`."""
        return [token for piece, token in self._pieces if text in piece]

    @cached_property
    def _pieces(self) -> list[tuple[bytes, int]]:
        pieces = self._vocab.pieces
        return sorted((pieces[token], token) for token in range(self._vocab.n_vocab) if pieces[token])
