"""The marks of a model's thinking blocks, and whether a prompt has opened one."""

from __future__ import annotations

from collections.abc import Sequence

from app.engine.text.vocab import Vocab

Marks = tuple[bytes, bytes]

_KNOWN: tuple[Marks, ...] = (
    (b"<think>", b"</think>"),
    (b"[THINK]", b"[/THINK]"),
    (b"<seed:think>", b"</seed:think>"),
    (b"<|START_THINKING|>", b"<|END_THINKING|>"),
    (b"<|channel|>analysis<|message|>", b"<|end|>"),
    (b"<thinking>", b"</thinking>"),
    (b"<reasoning>", b"</reasoning>"),
)
_N_LAST = 32
"""An opening mark is not longer in tokens."""


def thinking_marks(template: str | None, vocab: Vocab, configured: tuple[str, str] | None) -> Marks:
    """The pair that is configured, else one that the chat template writes, else one that the vocabulary has.

    Where nothing tells, it is the most common one.
    """
    if configured:
        return configured[0].encode(), configured[1].encode()
    source = (template or "").encode(errors="replace")
    for marks in _KNOWN:
        if all(mark in source for mark in marks):
            return marks
    names = {special.text for special in vocab.special}
    return next((marks for marks in _KNOWN if names.issuperset(marks)), _KNOWN[0])


def begins_inside(prompt: Sequence[int], vocab: Vocab, marks: Marks) -> bool:
    """Whether the prompt ends with the opening mark, so that the reply begins inside the block."""
    tail = b"".join(vocab.named_pieces[token] for token in prompt[-_N_LAST:])
    return tail.rstrip().endswith(marks[0])
