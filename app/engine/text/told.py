"""The tokens of a text as they are told to the app, each with the bytes of the text that it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from app.domain.trace import PromptToken
from app.engine.text.align import sizes
from app.engine.text.marks import without_marks
from app.engine.text.tokenizer import Chunk
from app.engine.text.vocab import Vocab, piece_text


class Teller:
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
            own = sizes(text, [self._vocab.named_pieces[token] for token in ids])
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
