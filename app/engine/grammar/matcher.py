"""A grammar's state in one reply, by llguidance over the model's vocabulary: the mask of all tokens in microseconds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from app.engine.core.backend import ComputeError

LLMatcher = Any
"""llguidance's matcher: it never raises, but enters an error state and stays there."""

Mask = npt.NDArray[np.bool_]
"""Shape (n_vocab,): whether each token may come next."""


class Matcher:
    """Where a reply stands in its grammar."""

    def __init__(self, matcher: LLMatcher, n_vocab: int, eog: frozenset[int]) -> None:
        """`matcher` belongs to this object from now on."""
        self._matcher = matcher
        self._n_vocab = n_vocab
        self._eog = eog
        self._bits = np.zeros((n_vocab + 31) // 32, np.uint32)

    def mask(self) -> Mask:
        """The tokens that may come next: end-of-generation tokens too where the text is complete.

        Raises ComputeError where the grammar needs more work here than its limits allow, or cannot be completed.
        """
        bits = self._bits
        self._matcher.unsafe_compute_mask_ptr(bits.ctypes.data, bits.nbytes)
        if self._matcher.is_error():
            message = first_line(self._matcher.get_error())
            raise ComputeError("it allows no text" if message.startswith("NoExtension") else message)
        return np.unpackbits(bits.view(np.uint8), count=self._n_vocab, bitorder="little").view(np.bool_)

    def accept(self, token: int) -> bool:
        """Takes the reply's next token; False, changing nothing, where the grammar forbids it.

        Raises ComputeError as `mask` does.
        """
        if self._matcher.try_consume_tokens([token]):
            return True
        if self._matcher.is_error():
            raise ComputeError(first_line(self._matcher.get_error()))
        # A grammar that cannot go on has stopped already, and takes nothing more.
        return token in self._eog and self._matcher.is_stopped() and self._matcher.is_accepting()

    def n_fitting(self, tokens: Sequence[int]) -> int:
        """How many of `tokens` may come next, one after the other. Changes nothing."""
        return self._matcher.validate_tokens(list(tokens))

    @property
    def complete(self) -> bool:
        """Whether the reply may end here."""
        return self._matcher.is_accepting()

    def copy(self) -> Matcher:
        """Another one in the same place."""
        return Matcher(self._matcher.deep_copy(), self._n_vocab, self._eog)


def first_line(message: str) -> str:
    """The first line of a message of llguidance's: what follows describes its own insides."""
    return next((line.strip() for line in message.splitlines() if line.strip()), "llguidance gives no reason")[:300]


SLICES = (r'[^"\\\x00-\x1F\x7F]{1,10}', r'[^"\\\x00-\x1F\x7F]{1,30}', r'[^"\\\x00-\x1F\x7F]+')
"""What masks are precomputed for: the inside of strings, most of most replies (llguidance's own choice for JSON)."""


class GrammarVocab(Protocol):
    """The tables of a vocabulary that are needed."""

    n_vocab: int
    eog: frozenset[int]

    @property
    def pieces(self) -> Mapping[int, bytes]:
        """Bytes as text by id; empty for control tokens."""
        ...

    @property
    def named_pieces(self) -> Mapping[int, bytes]:
        """The same with control tokens by name."""
        ...

    @property
    def non_text(self) -> Collection[int]:
        """Tokens that stand for no text, whatever their piece is: control tokens, tags, unknown and unused ones."""
        ...


class _Tokens:
    """What llguidance asks of a tokenizer."""

    bos_token_id = None

    def __init__(self, vocab: GrammarVocab) -> None:
        special = {*vocab.non_text, *vocab.eog}
        self.eos_token_id = min(vocab.eog)
        self.special_token_ids = sorted(special)
        self.tokens = [
            vocab.named_pieces[token] if token in special else vocab.pieces[token] for token in range(vocab.n_vocab)
        ]

    def __call__(self, text: bytes) -> list[int]:
        raise TypeError("a grammar is matched token by token: no text is tokenised for it")


def make_tokenizer(vocab: GrammarVocab) -> Any:  # noqa: ANN401 -- an LLTokenizer, which is not imported before it is needed
    """llguidance's view of a vocabulary. Raises ValueError for one without an end-of-generation token."""
    import llguidance

    if not vocab.eog:
        raise ValueError("the vocabulary has no end-of-generation token: a constrained answer could not end")
    wrapper = llguidance.TokenizerWrapper(_Tokens(vocab))
    return llguidance.LLTokenizer(wrapper, eos_token=sorted(vocab.eog), slices=list(SLICES))
