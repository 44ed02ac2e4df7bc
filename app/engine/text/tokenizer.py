"""A model's vocabulary, and rendered text to token ids: control tokens only where the template wrote them.

The partition is llama.cpp's `tokenizer_st_partition`: for text without a GUARD the ids equal those of
`llama_tokenize(parse_special=True)`. `Guard` puts a GUARD into the special texts of messages before they are rendered.
Knows nothing of llama.cpp: `app.engine.native.vocab` implements `Vocab`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from app.engine.text.marks import GUARD, GUARD_BYTES, without_border_bytes

Chunk = tuple[int, list[int]]
"""(byte offset in the text, ids) of a run of tokens."""
_SPACE = b" \t\n\v\f\r"
_TAG_CHARACTERS = set("<>[]{}|\u2581\uff5c\u3010\u3011")
_LONE_BYTE = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialToken:
    """A token that is matched by its text, before the rest of the text is tokenised."""

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
    """The vocabulary of one model."""

    n_vocab: int
    special: list[SpecialToken]
    """CONTROL, USER_DEFINED and UNKNOWN tokens, longest text first."""
    eog: frozenset[int]
    bos: int | None
    eos: int | None
    add_bos: bool
    """Whether the model was trained with BOS in front of its input."""

    @property
    def pieces(self) -> Pieces:
        """Bytes of each token as text; empty for control tokens."""
        ...

    @property
    def named_pieces(self) -> Pieces:
        """Bytes of each token; the name of a control token."""
        ...

    def show(self, tokens: Iterable[int]) -> None:
        """Makes these control tokens visible: from now on their `pieces` are their names."""
        ...

    def tokenize(self, text: bytes) -> list[int]:
        """Ids of a UTF-8 fragment. Parses no control tokens and adds no BOS."""
        ...


def piece_text(vocab: Vocab, token: int) -> str:
    """A token as text to display: control tokens by name, bytes that are not valid UTF-8 as `<0xE2>`."""
    piece = vocab.named_pieces[token]
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return _LONE_BYTE.sub(lambda m: f"<0x{ord(m[0]) - 0xDC00:02X}>", piece.decode(errors="surrogateescape"))


def adds_space(vocab: Vocab) -> bool:
    """True if the vocabulary puts a space in front of each fragment, as most SentencePiece vocabularies do."""
    return b"".join(vocab.pieces[i] for i in vocab.tokenize(b"a")).startswith(b" ")


class Tokenizer:
    """Tokenises with one vocabulary. Never adds BOS or EOS."""

    def __init__(self, vocab: Vocab) -> None:
        self._vocab = vocab
        self.adds_space = adds_space(vocab)
        """See `adds_space`."""
        self._by_start: defaultdict[bytes, list[tuple[int, SpecialToken]]] = defaultdict(list)
        for rank, special in enumerate(vocab.special):
            self._by_start[special.text[:2]].append((rank, special))

    def chunks(self, data: bytes, offset: int = 0, *, continued: bool = False) -> list[Chunk]:
        """Tokenises marked UTF-8, control tokens included; adds `offset` to the offset of each chunk.

        `continued`: as for `text_ids`.
        """
        parts: list[tuple[int, bytes | int]] = [(0, data)] if data else []
        for special in self._present(data):
            parts = [new for start, part in parts for new in _partition(start, part, special)]
        return [
            (
                offset + start,
                [part] if isinstance(part, int) else self.text_ids(part, continued=continued and start == 0),
            )
            for start, part in parts
        ]

    def text_ids(self, data: bytes, *, continued: bool = False) -> list[int]:
        """Ids of text without control tokens. Marks are removed; no token reaches across a GUARD.

        `continued`: the text follows other text, so that the vocabulary adds no space in front.
        """
        ids: list[int] = []
        for part in without_border_bytes(data).split(GUARD_BYTES):
            if part:
                ids += self._continue(part) if continued and self.adds_space else self._vocab.tokenize(part)
                continued = True
        return ids

    def _continue(self, part: bytes) -> list[int]:
        """Tokenises after a newline, which no SentencePiece token joins with other text, and drops the newline."""
        ids = self._vocab.tokenize(b"\n" + part)
        begun = b""
        for n, token in enumerate(ids, 1):
            begun += self._vocab.pieces[token]
            if begun == b" \n":
                return ids[n:]
        return self._vocab.tokenize(part)

    def _present(self, data: bytes) -> list[SpecialToken]:
        found = [
            item for start, group in self._by_start.items() if start in data for item in group if item[1].text in data
        ]
        return [special for _, special in sorted(found, key=lambda item: item[0])]


def _partition(start: int, part: bytes | int, special: SpecialToken) -> list[tuple[int, bytes | int]]:
    """Cuts one fragment at each occurrence of a special text and the white space that its token swallows."""
    if isinstance(part, int) or special.text not in part:
        return [(start, part)]
    out: list[tuple[int, bytes | int]] = []
    at = 0
    while (found := part.find(special.text, at)) >= 0:
        left = part[at:found]
        if special.lstrip:
            left = left.rstrip(_SPACE)
        if left:
            out.append((start + at, left))
        out.append((start + found, special.id))
        at = found + len(special.text)
        if special.rstrip:
            at += len(part) - at - len(part[at:].lstrip(_SPACE))
    if at < len(part):
        out.append((start + at, part[at:]))
    return out


class Guard:
    """Splits the texts of special tokens in untrusted strings, before a template gets them.

    Leaves USER_DEFINED tokens alone that do not look like tags (runs of spaces in gpt-neox, letters in deepseek-coder),
    and tokens of one character, which cannot be split.
    """

    def __init__(self, vocab: Vocab, *, user_defined: bool = True) -> None:
        """`user_defined`: split USER_DEFINED tokens too.

        False for a model's own replies: it writes tags such as `<think>` as tokens, and its template looks for them.
        """
        self._tags: defaultdict[str, list[str]] = defaultdict(list)
        self._heads: set[str] = set()
        self._tails: set[str] = set()
        for special in vocab.special:
            tag = _tag(special)
            if tag and (user_defined or not special.user_defined):
                self._tags[tag[:2]].append(tag)
                self._heads.update(tag[:k] for k in range(1, len(tag)))
                self._tails.update(tag[k:] for k in range(1, len(tag)))
        self._longest = max(map(len, self._heads), default=0)

    def __call__(self, text: str) -> str:
        """Returns `text` so guarded that no special token can form in it or across either of its ends."""
        for start, tags in self._tags.items():
            if start in text:
                for tag in tags:
                    while tag in text:
                        text = text.replace(tag, tag[0] + GUARD + tag[1:])
        lengths = range(1, min(self._longest, len(text)) + 1)
        before = GUARD if any(text[:k] in self._tails for k in lengths) else ""
        after = GUARD if any(text[-k:] in self._heads for k in lengths) else ""
        return f"{before}{text}{after}"


def _tag(special: SpecialToken) -> str:
    try:
        text = special.text.decode()
    except UnicodeDecodeError:
        return ""
    is_tag = not special.user_defined or not _TAG_CHARACTERS.isdisjoint(text)
    return text if len(text) > 1 and text.strip() and is_tag else ""
