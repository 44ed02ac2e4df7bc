"""Two sampling sets for one reply: inside a thinking block the preset's second one chooses, outside the first.

The block is found in the bytes of the tokens, so that its marks may be control tokens or spelt out. A mark's own tokens
are chosen by the set that is in force before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from app.domain.sampling import N_SEEDS, SamplingParams, is_constrained, thinking_params, without_constraint
from app.engine.core.backend import (
    Backend,
    ComputeError,
    Ids,
    Logits,
    PreviewResult,
    Sampler,
    SamplingError,
    Shadow,
    StageReport,
)


class ThinkingVocab(Protocol):
    """Token bytes by id, control tokens by name."""

    def __getitem__(self, token: int, /) -> bytes: ...


class ThinkingBlock:
    """Whether the next token of a reply stands between the marks."""

    def __init__(self, marks: tuple[bytes, bytes], pieces: ThinkingVocab, *, inside: bool) -> None:
        """`inside`: whether the prompt has opened the block already."""
        self.inside = inside
        self._marks = marks
        self._pieces = pieces
        self._tail = b""

    def push(self, token: int) -> None:
        """Takes the reply's next token."""
        text = self._tail + self._pieces[token]
        while (at := text.find(mark := self._marks[self.inside])) >= 0:
            text = text[at + len(mark) :]
            self.inside = not self.inside
        n_kept = len(self._marks[self.inside]) - 1
        self._tail = text[-n_kept:] if n_kept else b""

    def opening(self, tokens: Sequence[int]) -> int:
        """How many of a reply's first tokens spell the opening mark; 0 where it does not begin with that."""
        text, mark = b"", self._marks[False]
        for n, token in enumerate(() if self.inside else tokens, 1):
            text = (text + self._pieces[token]).lstrip()
            if text.startswith(mark):
                return n
            if not mark.startswith(text):
                break
        return 0


def sampler_of(
    backend: Backend, params: SamplingParams, block: ThinkingBlock | None, begun: Sequence[int] = ()
) -> Sampler:
    """The sampler of a request: one chain, or two where it has a set for thinking. Raises SamplingError.

    A grammar is the answer's: where the prompt, or what the reply is made to begin with (`begun`), opens the block, it
    waits, also without such a set. An opening that it allows itself is its own.
    """
    try:
        inside = thinking_params(params)
    except msgspec.ValidationError as error:
        raise SamplingError(f"the set for thinking is wrong: {error}") from error
    waits = is_constrained(params)
    n_opening = block.opening(begun) if waits and block is not None else 0
    if n_opening and _allows(backend, params, begun[:n_opening]):
        n_opening = 0
    if inside is None and waits and block is not None and (block.inside or n_opening):
        inside = without_constraint(params)
    answer = backend.sampler(params)
    if inside is None or block is None:
        return answer
    try:
        # Its own seed: two chains of one seed would draw the same numbers.
        thinking = backend.sampler(msgspec.structs.replace(inside, seed=(answer.seed + 1) % N_SEEDS))
    except SamplingError:
        answer.close()
        raise
    return TwoSets(answer, thinking, block, n_opening)


def _allows(backend: Backend, params: SamplingParams, tokens: Sequence[int]) -> bool:
    """Whether a reply may begin with `tokens` by its grammar."""
    sampler = backend.sampler(params)
    try:
        for token in tokens:
            sampler.force(token)
    except ComputeError:
        return False
    finally:
        sampler.close()
    return True


class TwoSets:
    """Fits `app.engine.core.backend.Sampler`. Each chain has every token in its history, its grammar only its own."""

    def __init__(self, answer: Sampler, thinking: Sampler, block: ThinkingBlock, n_opening: int = 0) -> None:
        """`n_opening`: the forced tokens at the beginning that open the block and that no grammar is asked about."""
        self._n_opening = n_opening
        self.seed = answer.seed
        self.redirected = self.thinking = False
        self._sets = (answer, thinking)
        self._block = block
        self._last = answer

    @property
    def report(self) -> StageReport:
        """See `Sampler`."""
        return self._last.report

    @property
    def near(self) -> Ids | None:
        """See `Sampler`."""
        return self._last.near

    def sample(self, logits: Logits, watch: Sequence[int] | None = None) -> int:
        """See `Sampler`."""
        token = self._sets[self._block.inside].sample(logits, watch)
        self._took(token)
        return token

    def force(self, token: int) -> None:
        """See `Sampler`."""
        if self._n_opening:
            self._n_opening -= 1
            self._sets[False].accept((token,))
        else:
            self._sets[self._block.inside].force(token)
        self._took(token)

    def preview(self, logits: Logits, watch: Sequence[int], k: int) -> PreviewResult:
        """See `Sampler`."""
        return self._sets[self._block.inside].preview(logits, watch, k)

    def shadow(self) -> Shadow:
        """See `Sampler`. Of the set that is in force now."""
        return self._sets[self._block.inside].shadow()

    def n_fitting(self, tokens: Sequence[int]) -> int:
        """See `Sampler`. What follows the block in `tokens` is not looked at."""
        return self._sets[self._block.inside].n_fitting(tokens)

    @property
    def complete(self) -> bool:
        """See `Sampler`: the answer counts, also where it has not begun."""
        return self._sets[False].complete

    def ban(self, tokens: Sequence[int]) -> None:
        """See `Sampler`."""
        for each in self._sets:
            each.ban(tokens)

    def unban(self, tokens: Sequence[int]) -> None:
        """See `Sampler`."""
        for each in self._sets:
            each.unban(tokens)

    def accept(self, tokens: Sequence[int]) -> None:
        """See `Sampler`."""
        for each in self._sets:
            each.accept(tokens)

    def close(self) -> None:
        """See `Sampler`."""
        for each in self._sets:
            each.close()

    def _took(self, token: int) -> None:
        self.thinking = self._block.inside
        self._last = self._sets[self.thinking]
        self.redirected = self._last.redirected
        self._sets[not self.thinking].accept((token,))
        self._block.push(token)
