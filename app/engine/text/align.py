"""The tokens of a text, each with the bytes of the text that it stands for."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from app.domain.trace import PromptToken
from app.engine.text.marks import without_marks
from app.engine.text.tokenizer import Chunk, Vocab, piece_text

_REACH, _MOST_LOST = 48, 64
"""How far a piece is looked for behind lost ones: so many characters for each of them, up to so many of them."""


def piece_sizes(text: bytes, pieces: Sequence[bytes]) -> list[int]:
    """Returns for each piece how many bytes of the UTF-8 `text` it stands for; they sum to `len(text)`.

    A piece without a place in the text has 0, but for the first of those that text between two others is left for.
    White space belongs to the piece that begins with it, else to the one before it. Empty for no pieces.
    """
    if not pieces:
        return []
    own = [len(piece) for piece in pieces]
    whole = b"".join(pieces)
    if whole == text:
        return own
    if whole == b" " + text and own[0]:
        return [own[0] - 1, *own[1:]]
    return _Alignment(text).sizes(pieces)


class _Alignment:
    def __init__(self, text: bytes) -> None:
        self._text = text
        self._starts: list[int] = []
        """Of each folded character: where the character that it is made of begins…"""
        self._ends: list[int] = []
        """…and ends, in bytes, with the accents after it."""
        self._next = 0
        """The folded character behind the last piece that was found."""
        at, folded = 0, list[str]()
        for character in text.decode(errors="surrogateescape"):
            end = at + len(character.encode(errors="surrogateescape"))
            for part in _fold(character):
                folded.append(part)
                self._starts.append(at)
                self._ends.append(end)
            if self._ends and unicodedata.category(character) == "Mn":
                self._ends[-1] = end
            at = end
        self._folded = "".join(folded)

    def sizes(self, pieces: Sequence[bytes]) -> list[int]:
        found = [0] * len(pieces)
        at = n_lost = 0
        for i, piece in enumerate(pieces):
            span = self._place(piece, at, n_lost)
            if span is None:
                n_lost += 1
                continue
            start, end = span
            if piece.startswith(b" "):
                start = at + len(self._text[at:start].rstrip())
            if not n_lost and (i == 0 or piece.startswith(b" ")):
                start = at
            elif start > at:
                found[i - max(1, n_lost)] += start - at  # the first of the lost ones, or the one before
            found[i] = end - start
            at, n_lost = end, 0
        found[-n_lost or -1] += len(self._text) - at
        return found

    def _place(self, piece: bytes, at: int, n_lost: int) -> tuple[int, int] | None:
        """Where a piece stands, not before `at`; further on only where those before it were lost."""
        for exact in (piece, piece.lstrip(b" ")):
            if exact and not n_lost and self._text.startswith(exact, at):
                self._next = bisect_left(self._starts, at + len(exact))
                return at, at + len(exact)
        core = "".join(map(_fold, piece.decode(errors="surrogateescape")))
        found = (
            self._folded.find(core, self._next, self._next + len(core) + _REACH * min(n_lost, _MOST_LOST))
            if core
            else -1
        )
        if found < 0:
            return None
        self._next = found + len(core)
        return max(at, self._starts[found]), max(at, self._ends[self._next - 1])


def _fold(character: str) -> str:
    """A character without case, accents and width; empty for white space, controls and accents alone."""
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", character).casefold())
    return "".join(
        part for part in parts if not part.isspace() and unicodedata.category(part) not in ("Mn", "Cc", "Cf")
    )


class PromptTokenMapper:
    """Serves one vocabulary."""

    def __init__(self, vocab: Vocab) -> None:
        self._vocab = vocab
        self._control = frozenset(special.id for special in vocab.special if special.control)

    def tokens(self, ids: Sequence[int], sizes: Sequence[int]) -> tuple[PromptToken, ...]:
        """Told with `sizes`, the bytes that each one stands for."""
        vocab, control = self._vocab, self._control
        return tuple(
            PromptToken(token, piece_text(vocab, token), n_bytes, token in control)
            for token, n_bytes in zip(ids, sizes, strict=True)
        )

    def own_sizes(self, ids: Sequence[int]) -> list[int]:
        """The bytes of tokens that no text was given for; a control token stands for its name."""
        return [len(self._vocab.named_pieces[token]) for token in ids]

    def sizes(self, data: bytes, chunks: Sequence[Chunk]) -> list[int]:
        """The bytes of marked UTF-8 that the tokens of its chunks stand for; they sum to those of the unmarked text.

        A space that the vocabulary put in front is not of the text; white space that a special token swallowed
        belongs to the token before it, and so does text that became no token at all.
        """
        found: list[int] = []
        starts = [start for start, _ in chunks] + [len(data)]
        n_before = 0
        for (start, end), (_, ids) in zip(pairwise(starts), chunks, strict=True):
            text = without_marks(data[start:end])
            own = piece_sizes(text, [self._vocab.named_pieces[token] for token in ids])
            if not own:
                n_before += len(text)
                continue
            if n_before:
                own[0] += n_before
                n_before = 0
            found += own
        if found:
            found[-1] += n_before
        return found
