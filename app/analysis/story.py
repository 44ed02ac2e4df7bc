"""How a reply comes about, in eight short chapters, with the figures and tokens of a reply if one is given.

Two sentences each. Pure; used by the help's second page and `tok explain`.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.analysis import units as numbers
from app.analysis.ending import ReplyContext
from app.analysis.meter import Phase, RunMeter
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
    new = f"{meter.n_new} new {ones} read in {numbers.ms(meter.prefill_ms or None)}"
    cached = f", {meter.n_cached} came out of the cache" if meter.n_cached else ""
    return (
        f"The conversation was cut into {meter.n_prompt} tokens{like}, each a number of the model's vocabulary. "
        f"{new}{cached}; this part is called prefill."
    )


def _prediction(first: TokenTrace, model: ModelReady | None) -> str:
    size = f"{model.n_vocab:,}" if model is not None else "all"
    best = [f"{quoted(top.text)} {percent(top.p)}" for top in first.top[:2]]
    said = f" and gave {' and '.join(best)}" if best else ""
    return (
        f"One pass through the model gave each of the {size} tokens that it knows a probability to come next. "
        f"For the first one it was {_surety(first.entropy)} ({first.entropy:.1f} bits of doubt){said}."
    )


def _surety(entropy: float) -> str:
    return "sure" if entropy < 1 else "fairly sure" if entropy < 3 else "unsure"


def _sampling(meter: RunMeter, first: TokenTrace, setting: ReplyContext) -> str:
    sampling = setting.sampling
    if sampling.temperature == 0:
        how = "The likeliest one is always taken: the temperature is 0."
    else:
        how = f"One of the likelier ones is drawn by lot, at temperature {sampling.temperature:g}."
    began = f"After the {meter.n_kept} tokens that were kept came" if meter.n_kept else "This reply began with"
    return f"{how} {began} {quoted(first.text)}, number {first.rank} of the list with {percent(first.p)}."


def _feedback(meter: RunMeter, first: TokenTrace, model: ModelReady | None) -> str:
    window = f" of the window's {model.n_ctx}" if model is not None else ""
    return (
        f"{quoted(first.text)} was put behind the prompt as token {meter.n_prompt + 1}{window}. "
        "What the model writes is what it reads next: it has no other memory."
    )


def _repeat(meter: RunMeter) -> str:
    each = numbers.ms(meter.decode_ms_per_token)
    times = "once" if meter.n_generated == 1 else f"{meter.n_generated} times"
    if meter.phase is Phase.DONE:
        end = meter.finish or "it ended"
        return f"This was done {times}, {each} a token. Why it ended: {end}."
    return f"This has been done {times} so far, {each} a token. It goes on until an end."


def _cache(meter: RunMeter) -> str:
    what = "What the model worked out for a token (its keys and values) is kept, so that no token is read twice."
    if not meter.n_cached:
        new = f"Here all {meter.n_prompt} prompt tokens were new"
        return f"{what} {new}; the next message finds them there while they are kept."
    each = meter.prefill_ms_per_token
    saved = f", which saved about {numbers.ms(each * meter.n_cached)}" if each else ""
    return f"{what} Here {meter.n_cached} of {meter.n_prompt} prompt tokens were found there{saved}."


def _drafts(meter: RunMeter) -> str:
    what = "Guessed tokens are checked several at once in one pass, and only those that the model agrees with stay."
    counts, gain = meter.drafting.counts, meter.drafting.gain
    if not counts.n_steps:
        return f"{what} Nothing was guessed in this reply."
    kept = f"{counts.n_accepted} of {counts.n_drafted} guesses were kept"
    if gain is None:
        return f"{what} Here {kept}."
    word = "saved" if gain.saved_ms >= 0 else "cost"
    return f"{what} Here {kept}, which {word} {numbers.ms(abs(gain.saved_ms))}."


def _batching(meter: RunMeter, model: ModelReady | None) -> str:
    prefill, decode = meter.prefill_ms_per_token, meter.decode_ms_per_token
    slots = f" Up to {model.n_slots} replies can share a pass in the same way." if model and model.n_slots > 1 else ""
    if prefill and decode:
        return (
            f"Many tokens go through the model in one pass: the prompt's took {numbers.ms(prefill)} each, "
            f"the reply's, one by one, {numbers.ms(decode)}.{slots}"
        )
    return f"Many tokens go through the model in one pass for little more than the price of one.{slots}"


_GENERAL: tuple[list[Chapter], list[Chapter]] = (
    [
        Chapter(
            "1 Input processing",
            "The conversation is cut into tokens, pieces of words, each a number of the model's vocabulary. "
            "The model reads them all in one go; this part is called prefill.",
        ),
        Chapter(
            "2 Prediction",
            "One pass through the model gives every token that it knows a probability to come next. "
            "Nothing is decided yet: it is a list of chances.",
        ),
        Chapter(
            "3 Sampling",
            "The list is cut down to the likelier ones and one of them is drawn by lot. "
            "Temperature, top-k, top-p and min-p, which a preset sets, say how daring the draw is.",
        ),
        Chapter(
            "4 Feedback",
            "The token is put behind the prompt as if it had been there before. "
            "What the model writes is what it reads next: it has no other memory.",
        ),
        Chapter(
            "5 Repeat",
            "The next token is predicted from all before it, one pass for each. "
            "It goes on until the token that means the end is drawn, or a limit is reached.",
        ),
    ],
    [
        Chapter(
            "KV-cache",
            "What the model worked out for a token (its keys and values) is kept, so that no token is read twice. "
            "A follow-up message therefore costs its own tokens alone.",
        ),
        Chapter(
            "Speculative decoding",
            "Guessed tokens are checked several at once in one pass, and only those that the model agrees with stay. "
            "The text is drawn as without; where guesses are often right it comes faster.",
        ),
        Chapter(
            "Batching",
            "Many tokens go through the model in one pass for little more than the price of one. "
            "A prompt is read so, and several replies can share a pass.",
        ),
    ],
)
