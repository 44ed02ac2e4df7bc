"""Splits replies into thinking and answer by the marks that a model writes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from app.engine.text.tokenizer import Tokenizer, Vocab

Marks = tuple[bytes, bytes]

_N_LAST = 32
"""Tokens at the end of a prompt that may hold an opening mark."""


class Parts(NamedTuple):
    """The parts of a reply's text, without the marks."""

    thinking: str
    answer: str


@dataclass(frozen=True, slots=True)
class ReplyFormat:
    """The marks of one kind of model.

    With `headers`, a reply consists of channels and each mark counts. Without, only a block at its beginning counts.
    """

    opening: str
    closing: str
    headers: tuple[str, ...] = ()
    """Texts before an answer, or between two channels."""
    endings: tuple[str, ...] = ()
    """Texts after an answer that are no end-of-generation tokens."""
    known: bool = True
    """True if the model has these marks; False for a default that never splits a reply."""

    @property
    def marks(self) -> Marks:
        """The opening and the closing mark as bytes."""
        return self.opening.encode(), self.closing.encode()

    def split(self, text: str) -> Parts:
        """Splits the text of a reply; drops the white space around the marks.

        An unclosed block is all thinking. A block that the prompt opened has only its closing mark in the reply.
        """
        if not self.known:
            return Parts("", text)
        if self.headers:
            return self._channels(text)
        begun = text.lstrip()
        if begun.startswith(self.opening):
            thinking, _, answer = begun.removeprefix(self.opening).partition(self.closing)
        else:
            thinking, closed, answer = text.partition(self.closing)
            if not closed or self.opening in thinking:
                return Parts("", text)
        return Parts(thinking.strip(), answer.lstrip())

    def _channels(self, text: str) -> Parts:
        marks = sorted((self.opening, self.closing, *self.headers, *self.endings), key=len, reverse=True)
        pieces = re.split(f"({'|'.join(map(re.escape, marks))})", text)
        if len(pieces) == 1:
            return Parts("", text)
        found: dict[bool, list[str]] = {True: [], False: []}
        inside = pieces[1] == self.closing
        for i, piece in enumerate(pieces):
            if i % 2:
                inside = piece == self.opening
            elif piece.strip():
                found[inside].append(piece.strip())
        return Parts("\n\n".join(found[True]), "\n\n".join(found[False]))

    def visible_tokens(self, tokenizer: Tokenizer, vocab: Vocab) -> frozenset[int]:
        """The control tokens that a reply must show as text, because marks consist of them."""
        control = frozenset(special.id for special in vocab.special if special.control) - vocab.eog
        found: set[int] = set()
        for mark in (self.opening, self.closing, *self.headers, *self.endings) if self.known else ():
            ids = [token for _, run in tokenizer.chunks(mark.encode()) for token in run]
            if mark in (self.opening, self.closing) or not control.issuperset(ids):
                found.update(control.intersection(ids))
        return frozenset(found)


UNMARKED = ReplyFormat("<think>", "</think>", known=False)
"""Format of a model without known marks."""
_KNOWN = (
    ReplyFormat("<think>", "</think>"),
    ReplyFormat("[THINK]", "[/THINK]"),
    ReplyFormat("<seed:think>", "</seed:think>"),
    ReplyFormat("<mm:think>", "</mm:think>"),
    ReplyFormat("<think:opensource>", "</think:opensource>"),
    ReplyFormat("<|channel>thought", "<channel|>"),
    ReplyFormat("<|inner_prefix|>", "<|inner_suffix|>"),
    ReplyFormat("Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]"),
    ReplyFormat(
        "<|START_THINKING|>",
        "<|END_THINKING|>",
        headers=("<|START_TEXT|>", "<|START_RESPONSE|>"),
        endings=("<|END_TEXT|>", "<|END_RESPONSE|>"),
    ),
    ReplyFormat(
        "<|channel|>analysis<|message|>",
        "<|end|>",
        headers=("<|start|>assistant", "<|channel|>final<|message|>", "<|channel|>commentary<|message|>"),
        endings=("<|return|>",),
    ),
    ReplyFormat(
        "<|open|>think<|sep|>",
        "<|close|>think<|sep|>",
        headers=("<|open|>response<|sep|>",),
        endings=("<|close|>response<|sep|>", "<|close|>message<|sep|>"),
    ),
    ReplyFormat("to=self<|message|>", "<|eom|>", headers=("<|start|>assistant", "to=user<|message|>")),
    ReplyFormat("<|think|>", "<|end|>", headers=("<|begin|>assistant", "<|content|>")),
    ReplyFormat("<thinking>", "</thinking>"),
    ReplyFormat("<reasoning>", "</reasoning>"),
)


def reply_format(template: str, vocab: Vocab, configured: tuple[str, str] | None) -> ReplyFormat:
    """Finds the format of a model's replies: that of the configured (opening, closing) marks, else a known one whose
    marks the chat template writes or the vocabulary has, else `UNMARKED`.

    `template`: source and output of the chat template (`ChatTemplate.evidence`).
    """
    if configured:
        named = (each for each in _KNOWN if (each.opening, each.closing) == tuple(configured))
        return next(named, ReplyFormat(*configured))
    texts = {special.text for special in vocab.special}
    written = (each for each in _KNOWN if each.opening in template and each.closing in template)
    spoken = (each for each in _KNOWN if texts.issuperset(each.marks))
    return next(written, next(spoken, UNMARKED))


def begins_inside(prompt: Sequence[int], vocab: Vocab, marks: Marks) -> bool:
    """True if the prompt (token ids) ends with the opening mark, so that the reply begins inside a thinking block."""
    tail = b"".join(vocab.named_pieces[token] for token in prompt[-_N_LAST:])
    return tail.rstrip().endswith(marks[0])
