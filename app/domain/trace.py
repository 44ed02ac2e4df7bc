"""The trace of one token: what was chosen, how likely it was, what else could have been, how long it took."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Origin(StrEnum):
    """Where a token came from."""

    SAMPLED = "sampled"
    DRAFT = "draft"
    """Proposed by a drafter and accepted by the target model's own sample."""
    FORCED = "forced"
    """Put there by the user or by a rule, not sampled."""
    GRAMMAR = "grammar"
    """Sampled again, because the grammar refused the first choice."""


class TopToken(Struct, frozen=True, array_like=True, gc=False):
    """A candidate for the next token."""

    id: int
    text: str
    """The piece, control tokens by name; bytes that are not whole UTF-8 are written `<0xE2>`."""
    p: float
    """Probability by a softmax over the whole vocabulary, before the sampler chain."""


class StageTrace(Struct, frozen=True, array_like=True, gc=False):
    """What one stage of the sampler chain did to the candidates."""

    name: str
    """As in `SamplingParams.samplers`; the last one is the draw."""
    n_in: int
    n_out: int
    p: tuple[float, ...]
    """Probabilities after the stage of the tokens in `TokenTrace.top`, in their order; 0 for one that was cut."""


class Draw(Struct, frozen=True, array_like=True, gc=False):
    """Where the random draw fell in the final distribution, its tokens laid side by side from 0 to 1."""

    u: float
    """The random number, in [0, 1)."""
    low: float
    """Where the chosen token begins…"""
    high: float
    """…and ends."""


class TokenTrace(Struct, frozen=True, array_like=True, gc=False):
    """One generated token."""

    id: int
    text: str
    """The piece, as in `TopToken.text`. The text of a reply is not the sum of its pieces: see `TokensGenerated`."""
    ms: float
    """Since the token before it; for the first one since the request's arrival."""
    p: float
    """Probability before the sampler chain."""
    logprob: float
    """Natural logarithm of `p`."""
    rank: int
    """1 is the most likely token of the vocabulary."""
    entropy: float
    """Of the distribution before the chain, in bits."""
    top: tuple[TopToken, ...] = ()
    """The k most likely tokens, best first."""
    origin: Origin = Origin.SAMPLED
    stages: tuple[StageTrace, ...] = ()
    """The stage report, where the request asked for it."""
    draw: Draw | None = None
    """With the stage report: the draw of a plain `dist` stage; None for greedy, adaptive-p and mirostat."""
