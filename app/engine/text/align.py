"""Maps tokens to the bytes of the text that they were made from."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from app.domain.trace import PromptToken
from app.engine.text.marks import without_marks
from app.engine.text.tokenizer import Chunk, Vocab, piece_text

_REACH, _MOST_LOST = 48, 64
"""After unmatched pieces, the search reaches this many characters further per piece, for at most this many pieces."""


def piece_sizes(text: bytes, pieces: Sequence[bytes]) -> list[int]:
    """Returns how many bytes of the UTF-8 `text` each piece stands for; they sum to `len(text)`.

    A tokenizer may normalise: case, accents, width and white space can differ. A piece that is not found gets 0 bytes;
    text that no piece matches goes to the first such piece, or to the piece before it. White space belongs to the piece
    that begins with it, else to the one before. Returns an empty list for no pieces.
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
        """First byte of the character that each folded character comes from."""
        self._ends: list[int] = []
        """Last byte plus one, including the accents that follow."""
        self._next = 0
        """Index of the folded character after the last piece that was found."""
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
                found[i - max(1, n_lost)] += start - at  # the first unmatched piece, else the one before
            found[i] = end - start
            at, n_lost = end, 0
        found[-n_lost or -1] += len(self._text) - at
        return found

    def _place(self, piece: bytes, at: int, n_lost: int) -> tuple[int, int] | None:
        """The (start, end) of a piece, at `at` or later; None if it is not found within reach."""
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
    """A character without case, accents and width; empty for white space, controls and lone accents."""
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", character).casefold())
    return "".join(
        part for part in parts if not part.isspace() and unicodedata.category(part) not in ("Mn", "Cc", "Cf")
    )


class PromptTokenMapper:
    """Maps the tokens of prompts to the bytes of their text, for one vocabulary."""

    def __init__(self, vocab: Vocab) -> None:
        self._vocab = vocab
        self._control = frozenset(special.id for special in vocab.special if special.control)

    def tokens(self, ids: Sequence[int], sizes: Sequence[int]) -> tuple[PromptToken, ...]:
        """Tokens for the wire; `sizes` are the bytes of the text that each id stands for. Raises ValueError if the
        lengths differ."""
        vocab, control = self._vocab, self._control
        return tuple(
            PromptToken(token, piece_text(vocab, token), n_bytes, token in control)
            for token, n_bytes in zip(ids, sizes, strict=True)
        )

    def own_sizes(self, ids: Sequence[int]) -> list[int]:
        """The bytes of each token's own piece, for tokens without a text; a control token counts as its name."""
        return [len(self._vocab.named_pieces[token]) for token in ids]

    def sizes(self, data: bytes, chunks: Sequence[Chunk]) -> list[int]:
        """The bytes that each token of `chunks` stands for; they sum to the length of `data` without its marks.

        A space that the vocabulary adds counts as no text. White space that a special token swallows belongs to the
        token before it, and so does text that became no token.
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
