"""What text needs of a model's vocabulary. Knows nothing of llama.cpp: `app.engine.native.vocab` fits this."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

_LONE_BYTE = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialToken:
    """A token that is found by its text before the rest is tokenised."""

    text: bytes
    id: int
    control: bool = False
    user_defined: bool = False
    unknown: bool = False
    lstrip: bool = False
    """Swallows the white space before it."""
    rstrip: bool = False
    """Swallows the white space after it."""


class Pieces(Protocol):
    """Token bytes by id."""

    def __getitem__(self, token: int, /) -> bytes: ...


class Vocab(Protocol):
    """The tables of one model."""

    n_vocab: int
    special: list[SpecialToken]
    """CONTROL, USER_DEFINED and UNKNOWN tokens, the longest text first."""
    eog: frozenset[int]
    bos: int | None
    eos: int | None
    add_bos: bool
    """Whether the model was trained with BOS in front of its input."""

    @property
    def pieces(self) -> Pieces:
        """Token bytes as text: empty for control tokens."""
        ...

    @property
    def named_pieces(self) -> Pieces:
        """Token bytes, control tokens by name."""
        ...

    def show(self, tokens: Iterable[int]) -> None:
        """Makes control tokens text: from now on their `pieces` are their names."""
        ...

    def tokenize(self, text: bytes) -> list[int]:
        """Ids of a raw fragment: no control token is parsed, no BOS is added."""
        ...


def piece_text(vocab: Vocab, token: int) -> str:
    """The display piece of a token: control tokens by name; bytes that are not whole UTF-8 as `<0xE2>`."""
    piece = vocab.named_pieces[token]
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return _LONE_BYTE.sub(lambda m: f"<0x{ord(m[0]) - 0xDC00:02X}>", piece.decode(errors="surrogateescape"))


def adds_space(vocab: Vocab) -> bool:
    """Whether tokenising puts a space in front of a fragment, as most SentencePiece vocabularies do."""
    return b"".join(vocab.pieces[i] for i in vocab.tokenize(b"a")).startswith(b" ")
