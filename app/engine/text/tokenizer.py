"""Rendered text to token ids: special tokens where the template wrote them, ordinary text everywhere else.

The partition is llama.cpp's `tokenizer_st_partition`: for text without a GUARD the ids equal those of
`llama_tokenize(parse_special=True)`.
"""

from __future__ import annotations

from collections import defaultdict

from app.engine.text.marks import GUARD_BYTES, without_border_bytes
from app.engine.text.vocab import SpecialToken, Vocab, adds_space

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
        """Tokenises marked UTF-8; `offset` is added to where each chunk begins. For `continued` see `raw`."""
        parts: list[tuple[int, bytes | int]] = [(0, data)] if data else []
        for special in self._present(data):
            parts = [new for start, part in parts for new in _partition(start, part, special)]
        return [
            (offset + start, [part] if isinstance(part, int) else self.raw(part, continued=continued and start == 0))
            for start, part in parts
        ]

    def raw(self, data: bytes, *, continued: bool = False) -> list[int]:
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
