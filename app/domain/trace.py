"""Traces: of one token (choice, probability, alternatives, time) and of one reply."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from itertools import accumulate

from msgspec import Struct

from app.domain.generation import CellSpan, DraftCounts
from app.domain.sampling import SamplingParams


class Origin(StrEnum):
    """Where a token came from."""

    SAMPLED = "sampled"
    DRAFT = "draft"
    """Proposed by a drafter and accepted by the target model's own sample."""
    FORCED = "forced"
    """Inserted by the user or by a rule, not sampled."""
    GRAMMAR = "grammar"
    """Sampled after the grammar had excluded the most likely token."""
    BONUS = "bonus"
    """Sampled in the decode that accepted a whole draft: an extra token at no cost."""


class TopToken(Struct, frozen=True, array_like=True, gc=False):
    """A candidate for the next token."""

    id: int
    """Negative if a server does not report it; equal for equal texts."""
    text: str
    """The piece, control tokens by name; bytes of incomplete UTF-8 are written `<0xE2>`."""
    p: float
    """Probability by a softmax over the whole vocabulary, before the sampler chain."""


class StageTrace(Struct, frozen=True, array_like=True, gc=False):
    """What one stage of the sampler chain did to the candidates."""

    name: str
    """As in `SamplingParams.samplers`; the last one is the draw."""
    n_in: int
    n_out: int
    p: tuple[float, ...]
    """Probabilities after the stage, in the order of `TokenTrace.top`; 0 for a token that was cut."""


class Draw(Struct, frozen=True, array_like=True, gc=False):
    """Where the random draw fell in the cumulative final distribution."""

    u: float
    """The random number, in [0, 1)."""
    low: float
    """Start of the chosen token's interval."""
    high: float
    """End of the chosen token's interval."""


class TokenTrace(Struct, frozen=True, array_like=True, gc=False):
    """One generated token."""

    id: int
    """Negative if a server does not report it; equal for equal texts."""
    text: str
    """The piece, as in `TopToken.text`. The text of a reply is not the sum of its pieces: see `TokensGenerated`."""
    ms: float
    """Since the previous token; for the first token, since the request's arrival."""
    p: float
    """Probability before the sampler chain."""
    logprob: float
    """Natural logarithm of `p`."""
    rank: int
    """1 is the most likely token of the vocabulary; 0: not known."""
    entropy: float
    """Of the distribution before the chain, in bits; NaN: not known."""
    top: tuple[TopToken, ...] = ()
    """The k most likely tokens, best first."""
    origin: Origin = Origin.SAMPLED
    stages: tuple[StageTrace, ...] = ()
    """The stage report, if the request asked for it."""
    draw: Draw | None = None
    """With the stage report: the draw of a plain `dist` stage; None for greedy, adaptive-p and mirostat."""
    n_bytes: int = 0
    """UTF-8 bytes that this token adds to the reply's text; 0 for a control token or part of a character."""
    p_end: float = 0.0
    """Before the chain: the probability that the reply ends here, summed over the end-of-generation tokens; NaN: not
    known."""
    decode_ms: float = 0.0
    """Of `ms`: computing the logits. For the first token, the prefill. 0 for an accepted draft token."""
    sample_ms: float = 0.0
    """Of `ms`: the sampler chain and this trace; in a batch also those of the sequences before this one."""
    text_ms: float = 0.0
    """Detokenising, and sending the previous token; part of the next token's `ms`."""
    ghosts: tuple[TopToken, ...] = ()
    """Rejected draft tokens that this token replaces; they are never part of the text.

    Only the first one's `p` is known; it is 0 for the others, whose prefix was rejected.
    """
    thinking: bool = False
    """Whether the parameters for thinking applied to it."""
    log_total: float = 0.0
    """Natural logarithm of the softmax's denominator; a token's logit is its logprob plus this. 0 if unknown."""


class PromptToken(Struct, frozen=True, array_like=True, gc=False):
    """One token of a given text, such as a rendered prompt."""

    id: int
    text: str
    """The piece, as in `TopToken.text`."""
    n_bytes: int
    """Bytes of the source text that it covers; the tokens cover it without gaps. 0 if the tokenizer added the token."""
    is_control: bool = False


class Prediction(Struct, frozen=True, array_like=True):
    """The distribution over the next token, before anything is drawn from it."""

    entropy: float
    """In bits, before the chain."""
    p_end: float
    """Before the chain: probability of the end-of-generation tokens together."""
    before: tuple[TopToken, ...]
    """The k most likely tokens before the chain, best first."""
    after: tuple[TopToken, ...]
    """The most likely tokens after the chain, best first, at most k, with their probabilities after it."""
    stages: tuple[StageTrace, ...] = ()
    """What each stage did; `StageTrace.p` is in the order of `before`, then of `raised`."""
    raised: tuple[TopToken, ...] = ()
    """Those of `after` that are not among `before`, with their probabilities before the chain."""
    raised_ranks: tuple[int, ...] = ()
    """Their ranks among all tokens before the chain."""

    def after_of(self, index: int) -> float:
        """The probability after the chain of a token, by its index in `before` followed by `raised`."""
        if self.stages:
            return self.stages[-1].p[index]
        token = (*self.before, *self.raised)[index]
        return next((each.p for each in self.after if each.id == token.id), 0.0)


def cuts(top: Sequence[TopToken], stages: Sequence[StageTrace]) -> list[list[TopToken]]:
    """Returns for each stage the tokens of `top` that it removed, by the probabilities that the stages report."""
    found: list[list[TopToken]] = []
    alive = [True] * len(top)
    for stage in stages:
        left = [was and p > 0 for was, p in zip(alive, stage.p, strict=False)]
        found.append([token for token, was, still in zip(top, alive, left, strict=False) if was and not still])
        alive = left
    return found


class ReplyTrace(Struct, frozen=True, kw_only=True):
    """The trace of a reply, also while it streams; `tokens` cover the reply's content without gaps."""

    tokens: tuple[TokenTrace, ...] = ()
    prompt: tuple[PromptToken, ...] = ()
    """The rendered template as it was computed; empty if not requested."""
    n_cached: int = 0
    """Prompt tokens that were in the KV cache already."""
    sampling: SamplingParams = SamplingParams()
    seed: int = 0
    cells: tuple[CellSpan, ...] = ()
    drafting: DraftCounts | None = None
    n_kept: int = 0
    """Number of first tokens kept from an older reply; they are also the last ones of the prompt."""

    def ends(self) -> list[int]:
        """Where each token's bytes end in the UTF-8 of the reply's content."""
        return list(accumulate(token.n_bytes for token in self.tokens))


def text_before(content: str, trace: ReplyTrace, n_tokens: int) -> str:
    """The text of a reply's first `n_tokens` tokens."""
    end = sum(token.n_bytes for token in trace.tokens[:n_tokens])
    return content.encode()[:end].decode("utf-8", "ignore")
