"""The format of a trace file: JSON lines, each an object with `event`.

`header` is the first line: which model, how it was sampled, what was sent. Then the events as they came, told apart by
`event`: `token` (one line a token), `text` (text without a token of its own), `prefill`, `trimmed`, `shifted`; `end` is
the last. `at_ms` is the engine's time since the request's arrival.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Any

from msgspec import Struct

from app.analysis.recording import ModelOfRecord
from app.cli.tracing.named import to_named
from app.domain.generation import ContextPolicy, PromptSpans
from app.domain.sampling import SamplingParams
from app.domain.trace import PromptToken
from app.protocol.commands import ChatMessage
from app.protocol.events import ContextShifted, ContextTrimmed, GenerationFinished, PrefillProgress, TokensGenerated

FORMAT = "tokscope-trace"
VERSION = 1
HEADER, TOKEN, TEXT, END = "header", "token", "text", "end"

KINDS: dict[str, type[PrefillProgress | ContextTrimmed | ContextShifted | GenerationFinished]] = {
    "prefill": PrefillProgress,
    "trimmed": ContextTrimmed,
    "shifted": ContextShifted,
    END: GenerationFinished,
}
"""The events whose lines carry the fields of the event, but for the request's id."""


class Header(Struct, frozen=True, kw_only=True):
    """The first line, but for `event`."""

    format: str = FORMAT
    version: int = VERSION
    tokscope: str
    """The program's version."""
    time: str
    build: str
    """Of llama.cpp; the same as in `model`."""
    model: ModelOfRecord
    preset: str
    sampling: SamplingParams
    seed: int
    speculate: bool | None
    n_prompt: int
    n_cached: int
    n_restored: int = 0
    n_shared: int = 0
    spans: PromptSpans
    notices: tuple[str, ...] = ()
    messages: tuple[ChatMessage, ...]
    prompt: tuple[PromptToken, ...] = ()
    context: ContextPolicy = "stop"
    """What was to happen where the window fills."""


def header_line(header: Header) -> dict[str, Any]:
    """The header as it is written."""
    return {"event": HEADER} | to_named(header)


def event_line(name: str, at_ms: float, event: Struct) -> dict[str, Any]:
    """One of `KINDS`."""
    fields = to_named(event)
    del fields["request_id"]
    return {"event": name, "at_ms": round(at_ms, 3)} | fields


def token_lines(before_ms: float, event: TokensGenerated) -> list[dict[str, Any]]:
    """One line a token, each with its own time; `shown` is the text that it brought to the screen.

    `before_ms` is the time of the token before. Where `n_bytes` do not cut the text, the last token shows it all.
    """
    if not event.tokens:
        return [{"event": TEXT, "at_ms": round(before_ms, 3), "shown": event.text}] if event.text else []
    times = accumulate((token.ms for token in event.tokens), initial=before_ms)
    next(times)
    return [
        {"event": TOKEN, "at_ms": round(at_ms, 3)} | to_named(token) | {"shown": shown}
        for token, at_ms, shown in zip(event.tokens, times, _shown(event), strict=True)
    ]


def _shown(event: TokensGenerated) -> list[str]:
    data = event.text.encode()
    ends = list(accumulate(token.n_bytes for token in event.tokens))
    try:
        if ends[-1] == len(data):
            return [data[start:end].decode() for start, end in pairwise([0, *ends])]
    except UnicodeDecodeError:
        pass
    return [""] * (len(ends) - 1) + [event.text]
