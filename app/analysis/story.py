"""Explains how a model writes a reply, in eight short chapters, with the figures and tokens of a reply if one is given.

Two sentences each. Pure; used by the help's second page and `tok explain`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan

from app.analysis.ending import ReplyContext
from app.analysis.meter import Phase, RunMeter
from app.domain import units
from app.domain.probability import percent
from app.domain.text import quoted
from app.domain.trace import TokenTrace
from app.protocol.events import ModelReady


@dataclass(frozen=True)
class Chapter:
    """One step or one trick."""

    title: str
    text: str


STEPS = "The loop: five steps"
TRICKS = "What makes it fast: three tricks"


def story(
    meter: RunMeter | None, model: ModelReady | None, setting: ReplyContext
) -> tuple[list[Chapter], list[Chapter]]:
    """Returns the five steps and the three optimisations; without a reply's tokens in general words."""
    if meter is None or not meter.tokens:
        return _GENERAL
    first = meter.tokens[0]
    steps = [
        Chapter("1 Input processing", _input(meter)),
        Chapter("2 Prediction", _prediction(first, model)),
        Chapter("3 Sampling", _sampling(meter, first, setting)),
        Chapter("4 Feedback", _feedback(meter, first, model)),
        Chapter("5 Repeat", _repeat(meter)),
    ]
    tricks = [
        Chapter("KV-cache", _cache(meter)),
        Chapter("Speculative decoding", _drafts(meter)),
        Chapter("Batching", _batching(meter, model)),
    ]
    return steps, tricks


def _input(meter: RunMeter) -> str:
    asked = meter.prompt[meter.n_prompt - meter.spans.n_turn : meter.n_prompt - meter.n_kept]
    words = [token.text for token in asked if not token.is_control and token.text.strip()]
    like = f" such as {quoted(words[len(words) // 2])}" if words else ""
    ones = "one was" if meter.n_new == 1 else "ones were"
    new = f"{meter.n_new} new {ones} computed in {units.ms(meter.prefill_ms or None)}"
    cached = f", {meter.n_cached} came from the cache" if meter.n_cached else ""
    return (
        f"The conversation was cut into {meter.n_prompt} tokens{like}, each a number of the model's vocabulary. "
        f"{new}{cached}; this is called prefill."
    )


def _prediction(first: TokenTrace, model: ModelReady | None) -> str:
    each = f"each of the {model.native.n_vocab:,} tokens" if model and model.native else "every token"
    best = [f"{quoted(top.text)} {percent(top.p)}" for top in first.top[:2]]
    sure = "" if isnan(first.entropy) else f" was {_surety(first.entropy)} ({first.entropy:.1f} bits of entropy)"
    said = " and".join(filter(None, (sure, f" gave {' and '.join(best)}" if best else "")))
    how = f" For the first token it{said}." if said else ""
    return f"One pass through the model gave {each} of the vocabulary a probability of coming next.{how}"


def _surety(entropy: float) -> str:
    return "sure" if entropy < 1 else "fairly sure" if entropy < 3 else "unsure"


def _sampling(meter: RunMeter, first: TokenTrace, setting: ReplyContext) -> str:
    sampling = setting.sampling
    if sampling.temperature == 0:
        how = "The temperature is 0, so the most likely token is always taken."
    else:
        how = f"One of the likely tokens is drawn at random, at temperature {sampling.temperature:g}."
    began = f"After the {meter.n_kept} kept tokens came" if meter.n_kept else "This reply began with"
    return f"{how} {began} {quoted(first.text)}, number {first.rank} of the candidates with {percent(first.p)}."


def _feedback(meter: RunMeter, first: TokenTrace, model: ModelReady | None) -> str:
    window = f" of the window's {model.n_ctx}" if model is not None and model.n_ctx else ""
    return (
        f"{quoted(first.text)} was appended to the prompt as token {meter.n_prompt + 1}{window}. "
        "The model reads what it has written: it has no other memory."
    )


def _repeat(meter: RunMeter) -> str:
    each = units.ms(meter.decode_ms_per_token)
    times = "once" if meter.n_generated == 1 else f"{meter.n_generated} times"
    if meter.phase is Phase.DONE:
        end = meter.finish or "it ended"
        return f"This was done {times}, {each} per token. Then the reply ended – {end}."
    return f"This has been done {times} so far, {each} per token. It continues until the reply ends."


def _cache(meter: RunMeter) -> str:
    what = "What the model computes for a token (its keys and values) is kept, so that no token is computed twice."
    if not meter.n_cached:
        new = f"Here all {meter.n_prompt} prompt tokens were new"
        return f"{what} {new}; the next message can reuse them."
    each = meter.prefill_ms_per_token
    saved = f", which saved about {units.ms(each * meter.n_cached)}" if each else ""
    return f"{what} Here {meter.n_cached} of {meter.n_prompt} prompt tokens were in the cache{saved}."


def _drafts(meter: RunMeter) -> str:
    what = "Several drafted tokens are checked in one pass; only those that the model would have chosen are accepted."
    counts, gain = meter.drafting.counts, meter.drafting.gain
    if not counts.n_steps:
        return f"{what} This reply had no drafts."
    kept = f"{counts.n_accepted} of {counts.n_drafted} drafted tokens were accepted"
    if gain is None:
        return f"{what} Here {kept}."
    word = "saved" if gain.saved_ms >= 0 else "cost"
    return f"{what} Here {kept}, which {word} {units.ms(abs(gain.saved_ms))}."


def _batching(meter: RunMeter, model: ModelReady | None) -> str:
    prefill, decode = meter.prefill_ms_per_token, meter.decode_ms_per_token
    n_slots = model.native.n_slots if model and model.native else 1
    slots = f" Up to {n_slots} replies can share a pass." if n_slots > 1 else ""
    if prefill and decode:
        return (
            f"Many tokens go through the model in one pass: the prompt's took {units.ms(prefill)} each, "
            f"the reply's, one by one, {units.ms(decode)}.{slots}"
        )
    return f"Many tokens go through the model in one pass for little more than the cost of one.{slots}"


_GENERAL: tuple[list[Chapter], list[Chapter]] = (
    [
        Chapter(
            "1 Input processing",
            "The conversation is cut into tokens: pieces of words, each with a number in the model's vocabulary. "
            "The model reads all of them at once; this is called prefill.",
        ),
        Chapter(
            "2 Prediction",
            "One pass through the model gives every token of the vocabulary a probability of coming next. "
            "Nothing is decided yet.",
        ),
        Chapter(
            "3 Sampling",
            "Only the more likely tokens are kept, and one of them is drawn at random. "
            "Temperature, top-k, top-p and min-p in the preset decide how random the draw is.",
        ),
        Chapter(
            "4 Feedback",
            "The token is appended to the prompt. The model reads what it has written: it has no other memory.",
        ),
        Chapter(
            "5 Repeat",
            "The next token is predicted from all tokens before it, with one pass for each. "
            "The loop ends when an end token is drawn or a limit is reached.",
        ),
    ],
    [
        Chapter(
            "KV-cache",
            "What the model computes for a token (its keys and values) is kept, so that no token is computed twice. "
            "A follow-up message therefore costs only its own tokens.",
        ),
        Chapter(
            "Speculative decoding",
            "Several drafted tokens are checked in one pass; only those that the model would have chosen are accepted. "
            "The distribution of replies does not change; if drafts are often right, the reply comes faster.",
        ),
        Chapter(
            "Batching",
            "Many tokens go through the model in one pass for little more than the cost of one. "
            "That is how a prompt is read, and several replies can share a pass.",
        ),
    ],
)
