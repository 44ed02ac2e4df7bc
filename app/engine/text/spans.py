"""Divides the tokens of a prompt into system prompt, history and the turn that is being answered."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.conversation import Role
from app.domain.generation import PromptSpans
from app.engine.text.marks import OPEN_BYTES, without_marks
from app.engine.text.tokenizer import Chunk
from app.engine.text.vocab import Vocab

_USER = OPEN_BYTES[Role.USER]


def borders(data: bytes, opener: bytes) -> tuple[int, int]:
    """Where the system part ends and the last turn begins, in bytes of the marked text.

    A part begins with the template text (`opener`) that opens its user message. Without marks (the template does not
    let them through) everything counts as the last turn.
    """
    first, last = data.find(_USER), data.rfind(_USER)
    if first < 0:
        return 0, 0
    return _opened(data[:first], opener), _opened(data[:last], opener)


def _opened(head: bytes, opener: bytes) -> int:
    """Where the opener that `head` ends with begins, white space aside; it may have lost its own beginning (BOS)."""
    head, opener = head.rstrip(), opener.rstrip()
    n = 0
    while n < min(len(head), len(opener)) and head[-1 - n] == opener[-1 - n]:
        n += 1
    return len(head) - n


def count(data: bytes, chunks: Sequence[Chunk], at: tuple[int, int], vocab: Vocab, n_bos: int) -> PromptSpans:
    """The spans of a prompt of `n_bos` tokens and `chunks`, cut at the two byte offsets `at`.

    Offsets fall between chunks as a rule. Inside a chunk the tokens are counted by their bytes, and a token that
    crosses the cut belongs to the part before it.
    """
    n_total = n_bos + sum(len(ids) for _, ids in chunks)
    n_system, n_before = (_n_before(data, chunks, border, vocab) for border in at)
    n_system += n_bos if n_system else 0
    n_before += n_bos if n_before else 0
    return PromptSpans(n_system, n_before - n_system, n_total - n_before)


def _n_before(data: bytes, chunks: Sequence[Chunk], border: int, vocab: Vocab) -> int:
    n = 0
    ends = [start for start, _ in chunks[1:]] + [len(data)]
    for (start, ids), end in zip(chunks, ends, strict=True):
        if end <= border:
            n += len(ids)
            continue
        room = len(without_marks(data[start:border]))
        for token in ids:
            if room <= 0:
                break
            room -= len(vocab.named_pieces[token])
            n += 1
        break
    return n
