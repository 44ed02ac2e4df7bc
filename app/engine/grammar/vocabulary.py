"""A model's vocabulary as llguidance reads it: each token's bytes, and which tokens are no text.

Reading it takes a tenth of a second to seconds, so that it is done at the first request that needs it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

SLICES = (r'[^"\\\x00-\x1F\x7F]{1,10}', r'[^"\\\x00-\x1F\x7F]{1,30}', r'[^"\\\x00-\x1F\x7F]+')
"""What masks are precomputed for: the inside of strings, most of most replies (llguidance's own choice for JSON)."""


class Pieces(Protocol):
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

    def __init__(self, vocab: Pieces) -> None:
        special = {*vocab.non_text, *vocab.eog}
        self.eos_token_id = min(vocab.eog)
        self.special_token_ids = sorted(special)
        self.tokens = [
            vocab.named_pieces[token] if token in special else vocab.pieces[token] for token in range(vocab.n_vocab)
        ]

    def __call__(self, text: bytes) -> list[int]:
        raise TypeError("a grammar is matched token by token: no text is tokenised for it")


def tokenizer_of(vocab: Pieces) -> Any:  # noqa: ANN401 -- an LLTokenizer, which is not imported before it is needed
    """llguidance's view of a vocabulary. Raises ValueError for one without an end-of-generation token."""
    import llguidance

    if not vocab.eog:
        raise ValueError("the vocabulary has no end-of-generation token: a constrained answer could not end")
    wrapper = llguidance.TokenizerWrapper(_Tokens(vocab))
    return llguidance.LLTokenizer(wrapper, eos_token=sorted(vocab.eog), slices=list(SLICES))
