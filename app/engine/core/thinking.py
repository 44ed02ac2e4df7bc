"""Two sets of sampling parameters in one reply: one inside a thinking block, one outside.

The block is found in the bytes of the tokens, so its marks may be control tokens or text. The tokens of a mark are
chosen by the set that applies before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from app.domain.parameters import N_SEEDS
from app.domain.sampling import SamplingParams, is_constrained, thinking_params, without_constraint
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
    """Finds whether the next token of a reply is between the marks."""

    def __init__(self, marks: tuple[bytes, bytes], pieces: ThinkingVocab, *, inside: bool) -> None:
        """`inside`: whether the prompt has opened the block."""
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
        """Returns how many first tokens of a reply spell the opening mark; 0 if it does not begin with it."""
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
    """Creates the sampler of a request: one chain, or two with parameters for thinking. Raises SamplingError.

    A grammar applies to the answer: if the prompt or the forced beginning (`begun`) opens the block, the grammar starts
    after it. An opening mark that the grammar itself allows is part of the answer.
    """
    try:
        inside = thinking_params(params)
    except msgspec.ValidationError as error:
        raise SamplingError(f"the parameters for thinking are invalid: {error}") from error
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
        # Another seed: two chains with the same seed would draw the same numbers.
        thinking = backend.sampler(msgspec.structs.replace(inside, seed=(answer.seed + 1) % N_SEEDS))
    except SamplingError:
        answer.close()
        raise
    return TwoSets(answer, thinking, block, n_opening)


def _allows(backend: Backend, params: SamplingParams, tokens: Sequence[int]) -> bool:
    """Whether the grammar allows a reply to begin with `tokens`."""
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
    """Implements `app.engine.core.backend.Sampler`. Both chains see every token; each grammar only its own part."""

    def __init__(self, answer: Sampler, thinking: Sampler, block: ThinkingBlock, n_opening: int = 0) -> None:
        """`n_opening`: number of forced first tokens that open the block and are outside the grammar."""
        self._n_opening = n_opening
        self.seed = answer.seed
        self.redirected = self.thinking = False
        self._sets = (answer, thinking)
        self._block = block
        self._last = answer

    @property
    def report(self) -> StageReport:
        """Implements `Sampler`."""
        return self._last.report

    @property
    def near(self) -> Ids | None:
        """Implements `Sampler`."""
        return self._last.near

    def sample(self, logits: Logits, watch: Sequence[int] | None = None) -> int:
        """Implements `Sampler`."""
        token = self._sets[self._block.inside].sample(logits, watch)
        self._took(token)
        return token

    def force(self, token: int) -> None:
        """Implements `Sampler`."""
        if self._n_opening:
            self._n_opening -= 1
            self._sets[False].accept((token,))
        else:
            self._sets[self._block.inside].force(token)
        self._took(token)

    def preview(self, logits: Logits, watch: Sequence[int], k: int) -> PreviewResult:
        """Implements `Sampler`."""
        return self._sets[self._block.inside].preview(logits, watch, k)

    def shadow(self) -> Shadow:
        """Implements `Sampler`, for the set that applies now."""
        return self._sets[self._block.inside].shadow()

    def n_fitting(self, tokens: Sequence[int]) -> int:
        """Implements `Sampler`; ignores `tokens` after the block."""
        return self._sets[self._block.inside].n_fitting(tokens)

    @property
    def complete(self) -> bool:
        """Implements `Sampler`, for the answer, even before it begins."""
        return self._sets[False].complete

    def ban(self, tokens: Sequence[int]) -> None:
        """Implements `Sampler`."""
        for each in self._sets:
            each.ban(tokens)

    def unban(self, tokens: Sequence[int]) -> None:
        """Implements `Sampler`."""
        for each in self._sets:
            each.unban(tokens)

    def accept(self, tokens: Sequence[int]) -> None:
        """Implements `Sampler`."""
        for each in self._sets:
            each.accept(tokens)

    def close(self) -> None:
        """Implements `Sampler`."""
        for each in self._sets:
            each.close()

    def _took(self, token: int) -> None:
        self.thinking = self._block.inside
        self._last = self._sets[self.thinking]
        self.redirected = self._last.redirected
        self._sets[not self.thinking].accept((token,))
        self._block.push(token)
