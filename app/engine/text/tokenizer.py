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

_TAG_CHARACTERS = set("<>[]{}|\u2581\uff5c\u3010\u3011")
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


Chunk = tuple[int, list[int]]
"""Where in the text a run of tokens begins (in bytes), and their ids."""
_SPACE = b" \t\n\v\f\r"


class Tokenizer:
    """Tokenises for one vocabulary. Never adds BOS or EOS."""

    def __init__(self, vocab: Vocab) -> None:
        self._vocab = vocab
        self.adds_space = adds_space(vocab)
        """Whether the vocabulary puts a space in front of what it tokenises."""
        self._by_start: defaultdict[bytes, list[tuple[int, SpecialToken]]] = defaultdict(list)
        for rank, special in enumerate(vocab.special):
            self._by_start[special.text[:2]].append((rank, special))

    def chunks(self, data: bytes, offset: int = 0, *, continued: bool = False) -> list[Chunk]:
        """Tokenises marked UTF-8; `offset` is added to where each chunk begins. For `continued` see `text_ids`."""
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
        """Ids of text in which no control token is parsed; a GUARD is a boundary and vanishes like the other marks.

        A vocabulary's own space is put in front of text that begins, not of text that is `continued`.
        """
        ids: list[int] = []
        for part in without_border_bytes(data).split(GUARD_BYTES):
            if part:
                ids += self._continue(part) if continued and self.adds_space else self._vocab.tokenize(part)
                continued = True
        return ids

    def _continue(self, part: bytes) -> list[int]:
        """Tokenises behind a newline, which no SentencePiece token holds together with other text, and drops that."""
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
    """Cuts one fragment at every occurrence of a special text, with the white space that the token swallows."""
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
    """Splits special texts in untrusted strings, before they are put into a template.

    USER_DEFINED tokens that do not look like tags (runs of spaces in gpt-neox, letters in deepseek-coder) are
    ordinary text and stay whole. So do tokens of one character: nothing can be put inside them.
    """

    def __init__(self, vocab: Vocab, *, user_defined: bool = True) -> None:
        """With `user_defined=False` only CONTROL and UNKNOWN texts are split.

        That is for a model's own replies: it writes tags such as `<think>` as tokens, and its template looks for them.
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
        """`text` in which no special text stands, begins at the end or ends at the beginning."""
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
