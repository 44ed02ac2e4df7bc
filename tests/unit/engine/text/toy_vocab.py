"""A byte vocabulary with a few merges and special tokens. Ids 0–255 are bytes; the cut is greedy, longest first."""

from __future__ import annotations

import re
from collections.abc import Iterable

from app.engine.text.tokenizer import SpecialToken

MERGES = (b"Hello", b"He", b"llo", b"user", b"\nH", b"assistant", b" world", b"\xe2\x82", b"<|", b"|>", b"im_end")


class ToyVocab:
    """Implements `Vocab`. USER_DEFINED tokens are matched in raw text too, as llama.cpp does."""

    def __init__(self, *, add_bos: bool = False, adds_space: bool = False) -> None:
        self.pieces = [bytes([i]) for i in range(256)] + list(MERGES)
        self.named_pieces = list(self.pieces)
        self.special: list[SpecialToken] = []
        self.im_start = self._add("<|im_start|>", control=True)
        self.im_end = self._add("<|im_end|>", control=True)
        self.bos: int | None = self._add("<s>", control=True)
        self.eos: int | None = self._add("</s>", control=True)
        self.unk = self._add("<unk>", unknown=True)
        self.think = self._add("<think>", user_defined=True)
        self.left = self._add("[LEFT]", control=True, lstrip=True)
        self.right = self._add("[RIGHT]", control=True, rstrip=True)
        self.tool = self._add("<|im_end|>tool", control=True)
        self.special.sort(key=lambda token: -len(token.text))
        self.n_vocab = len(self.pieces)
        self.eog = frozenset({self.im_end, 258})
        self.add_bos = add_bos
        self._adds_space = adds_space
        texts = sorted((*MERGES, b"<think>"), key=len, reverse=True)
        self._cut = re.compile(b"|".join(map(re.escape, texts)) + b"|.", re.DOTALL)
        self._ids = {piece: i for i, piece in enumerate(self.named_pieces)}

    def control(self, text: str) -> int:
        """One more control token."""
        token = self._add(text, control=True)
        self.special.sort(key=lambda special: -len(special.text))
        self.n_vocab = len(self.pieces)
        self._ids[text.encode()] = token
        return token

    def _add(self, text: str, **flags: bool) -> int:
        token = len(self.pieces)
        self.pieces.append(text.encode() if flags.get("user_defined") else b"")
        self.named_pieces.append(text.encode())
        self.special.append(SpecialToken(text=text.encode(), id=token, **flags))
        return token

    def show(self, tokens: Iterable[int]) -> None:
        for token in tokens:
            self.pieces[token] = self.named_pieces[token]

    def tokenize(self, text: bytes) -> list[int]:
        if not text:
            return []
        return [self._ids[piece] for piece in self._cut.findall(b" " + text if self._adds_space else text)]

    def id(self, piece: bytes) -> int:
        return self._ids[piece]

    def named(self, ids: list[int]) -> bytes:
        return b"".join(self.named_pieces[i] for i in ids)


SPECIAL_TEXTS = [special.text.decode() for special in ToyVocab().special]
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
