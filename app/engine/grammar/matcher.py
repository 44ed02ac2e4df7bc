"""The state of a grammar in one reply, by llguidance: the mask over the whole vocabulary in microseconds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from app.engine.core.backend import ComputeError

LLMatcher = Any
"""llguidance's matcher. It never raises: it enters an error state and stays there."""

Mask = npt.NDArray[np.bool_]
"""Shape (n_vocab,): True for each token that may come next."""


class Matcher:
    """The position of one reply in its grammar."""

    def __init__(self, matcher: LLMatcher, n_vocab: int, eog: frozenset[int]) -> None:
        """Takes over `matcher`."""
        self._matcher = matcher
        self._n_vocab = n_vocab
        self._eog = eog
        self._bits = np.zeros((n_vocab + 31) // 32, np.uint32)

    def mask(self) -> Mask:
        """The tokens that may come next; includes end-of-generation tokens if the text is complete.

        Raises ComputeError if the grammar exceeds its limits here or cannot be completed.
        """
        bits = self._bits
        self._matcher.unsafe_compute_mask_ptr(bits.ctypes.data, bits.nbytes)
        if self._matcher.is_error():
            message = first_line(self._matcher.get_error())
            raise ComputeError("it allows no text" if message.startswith("NoExtension") else message)
        return np.unpackbits(bits.view(np.uint8), count=self._n_vocab, bitorder="little").view(np.bool_)

    def accept(self, token: int) -> bool:
        """Takes the next token of the reply. Returns False, without a change, if the grammar forbids it.

        Raises ComputeError as `mask` does.
        """
        if self._matcher.try_consume_tokens([token]):
            return True
        if self._matcher.is_error():
            raise ComputeError(first_line(self._matcher.get_error()))
        # A grammar that cannot continue has stopped already and consumes nothing more.
        return token in self._eog and self._matcher.is_stopped() and self._matcher.is_accepting()

    def n_fitting(self, tokens: Sequence[int]) -> int:
        """Number of leading `tokens` that the grammar allows next. Changes nothing."""
        return self._matcher.validate_tokens(list(tokens))

    @property
    def complete(self) -> bool:
        """True if the reply may end here."""
        return self._matcher.is_accepting()

    def copy(self) -> Matcher:
        """An independent matcher at the same position."""
        return Matcher(self._matcher.deep_copy(), self._n_vocab, self._eog)


def first_line(message: str) -> str:
    """The first line of a message of llguidance, at most 300 characters; the rest describes its internals."""
    return next((line.strip() for line in message.splitlines() if line.strip()), "llguidance gives no reason")[:300]


_SLICES = (r'[^"\\\x00-\x1F\x7F]{1,10}', r'[^"\\\x00-\x1F\x7F]{1,30}', r'[^"\\\x00-\x1F\x7F]+')
"""Regexes with precomputed masks: the inside of strings, which most tokens of JSON are (llguidance's own choice)."""


class GrammarVocab(Protocol):
    """The part of a vocabulary that grammars need; `app.engine.native.vocab` implements it."""

    n_vocab: int
    eog: frozenset[int]

    @property
    def pieces(self) -> Mapping[int, bytes]:
        """Bytes of each token as text; empty for control tokens."""
        ...

    @property
    def named_pieces(self) -> Mapping[int, bytes]:
        """Bytes of each token; the name of a control token."""
        ...

    @property
    def non_text(self) -> Collection[int]:
        """Ids of tokens without text, whatever their piece: control tokens, tags, unknown and unused tokens."""
        ...


class _Tokens:
    """A vocabulary in the form that `llguidance.TokenizerWrapper` takes."""

    bos_token_id = None

    def __init__(self, vocab: GrammarVocab) -> None:
        special = {*vocab.non_text, *vocab.eog}
        self.eos_token_id = min(vocab.eog)
        self.special_token_ids = sorted(special)
        self.tokens = [
            vocab.named_pieces[token] if token in special else vocab.pieces[token] for token in range(vocab.n_vocab)
        ]

    def __call__(self, text: bytes) -> list[int]:
        raise TypeError("grammars are matched token by token: nothing may be tokenised")


def make_tokenizer(vocab: GrammarVocab) -> Any:  # noqa: ANN401 -- an LLTokenizer, imported late
    """An LLTokenizer for a vocabulary. Raises ValueError if it has no end-of-generation token."""
    import llguidance

    if not vocab.eog:
        raise ValueError("the vocabulary has no end-of-generation token: a constrained answer could not end")
    wrapper = llguidance.TokenizerWrapper(_Tokens(vocab))
    return llguidance.LLTokenizer(wrapper, eos_token=sorted(vocab.eog), slices=list(_SLICES))
