"""One JSON object of an answer into what it says: text, thinking, tokens, counts, times, the end. Pure."""

from __future__ import annotations

import math
from typing import cast

from msgspec import Struct

from app.domain.generation import Stop
from app.domain.text import one_line
from app.remote.errors import StreamError
from app.remote.fields import JsonTable, as_float, count, number, table, tables, text

LOWEST_LOGPROB = -9000.0
"""Below it a number stands for minus infinity: vLLM sends -9999, llama-server the lowest float."""


class LikelyToken(Struct, frozen=True):
    """A token with its log-probability, as a server gives them."""

    text: str
    logprob: float
    raw: bytes
    """Its bytes: those that the server names, else those of `text`."""
    id: int | None = None
    top: tuple[LikelyToken, ...] = ()
    """The most likely tokens in its place, best first."""


class PromptProgress(Struct, frozen=True):
    """How far a prompt is (llama-server's `prompt_progress`)."""

    n_total: int
    n_cached: int
    n_done: int
    """The cached ones included."""
    ms: float


class ServerUsage(Struct, frozen=True):
    """Tokens as the server counts them; None where it does not say."""

    n_prompt: int | None = None
    n_cached: int | None = None
    n_generated: int | None = None


class ServerTimes(Struct, frozen=True):
    """Times by the server's clock, in milliseconds; None where it does not say."""

    load_ms: float | None = None
    prefill_ms: float | None = None
    decode_ms: float | None = None
    prefill_tps: float | None = None
    decode_tps: float | None = None
    n_drafted: int | None = None
    n_accepted: int | None = None


class Chunk(Struct, frozen=True):
    """What one object says."""

    text: str = ""
    thinking: str = ""
    tokens: tuple[LikelyToken, ...] = ()
    finish: str = ""
    """The server's word for why the reply ended; empty while it goes on."""
    stop: Stop | None = None
    usage: ServerUsage = ServerUsage()
    times: ServerTimes = ServerTimes()
    progress: PromptProgress | None = None


def read_chunk(values: JsonTable) -> Chunk:
    """Reads an object of `/v1/chat/completions`, streamed or whole, or of Ollama's `/api/chat`.

    Raises StreamError where it is an error that the server reports.
    """
    if values.get("error"):
        raise StreamError(f"the server reports an error: {error_text(values)}")
    if "message" in values and "choices" not in values:
        return _read_ollama(values)
    choices = tables(values, "choices")
    choice: JsonTable = choices[0] if choices else {}
    if choice.get("error"):
        raise StreamError(f"the server reports an error: {error_text(choice)}")
    said = table(choice, "delta") or table(choice, "message")
    return Chunk(
        text=text(said, "content") or text(choice, "text"),
        thinking=text(said, "reasoning_content", "reasoning"),
        tokens=_tokens(tables(table(choice, "logprobs"), "content")),
        finish=text(choice, "finish_reason"),
        stop=_stop(choice),
        usage=_usage(table(values, "usage"), table(values, "timings")),
        times=_times(table(values, "timings")),
        progress=_progress(table(values, "prompt_progress")),
    )


def error_text(values: JsonTable, limit: int = 300) -> str:
    """What an object with an `error` (or FastAPI's `detail`) says, in one line."""
    error = values.get("error") or values.get("detail") or values.get("message") or ""
    if isinstance(error, dict):
        inner = table(values, "error")
        raw = text(table(inner, "metadata"), "raw")
        error = ": ".join(filter(None, (text(inner, "message") or str(inner), raw)))
    return one_line(str(error), limit)


def _tokens(entries: list[JsonTable]) -> tuple[LikelyToken, ...]:
    return tuple(found for each in entries if (found := _token(each)) is not None)


def _token(entry: JsonTable) -> LikelyToken | None:
    logprob, token_id = as_float(entry.get("logprob")), count(entry, "id")
    if math.isnan(logprob) or "token" not in entry:
        return None
    piece, raw = text(entry, "token"), entry.get("bytes")
    try:
        data = bytes(cast("list[int]", raw)) if isinstance(raw, list) else piece.encode("utf-8", "replace")
    except (ValueError, TypeError):
        data = piece.encode("utf-8", "replace")
    top = [found for each in tables(entry, "top_logprobs") if (found := _token(each)) is not None]
    top.sort(key=lambda each: -each.logprob)
    # Traces hold ids of 32 bits.
    known_id = token_id if token_id is not None and token_id < 2**31 else None
    return LikelyToken(piece, min(0.0, logprob), data, known_id, tuple(top))


def _stop(choice: JsonTable) -> Stop | None:
    """What ended it, where vLLM (`stop_reason`) or SGLang (`matched_stop`) say so."""
    reason = choice.get("stop_reason", choice.get("matched_stop"))
    if isinstance(reason, str) and reason:
        return Stop("string", reason)
    return Stop("eog", "", reason) if isinstance(reason, int) and not isinstance(reason, bool) else None


def _usage(usage: JsonTable, timings: JsonTable) -> ServerUsage:
    details = table(usage, "prompt_tokens_details")
    cached = count(details, "cached_tokens")
    if cached is None:
        cached = count(timings, "cache_n")
    n_new = count(timings, "prompt_n")
    n_prompt = count(usage, "prompt_tokens")
    if n_prompt is None and n_new is not None:
        n_prompt = n_new + (cached or 0)
    n_generated = count(usage, "completion_tokens")
    return ServerUsage(n_prompt, cached, count(timings, "predicted_n") if n_generated is None else n_generated)


def _times(timings: JsonTable) -> ServerTimes:
    return ServerTimes(
        prefill_ms=number(timings, "prompt_ms"),
        decode_ms=number(timings, "predicted_ms"),
        prefill_tps=number(timings, "prompt_per_second"),
        decode_tps=number(timings, "predicted_per_second"),
        n_drafted=count(timings, "draft_n"),
        n_accepted=count(timings, "draft_n_accepted"),
    )


def _progress(values: JsonTable) -> PromptProgress | None:
    n_total, n_done = count(values, "total"), count(values, "processed")
    if n_total is None or n_done is None:
        return None
    return PromptProgress(n_total, count(values, "cache") or 0, n_done, number(values, "time_ms") or 0.0)


def _read_ollama(values: JsonTable) -> Chunk:
    said, done = table(values, "message"), values.get("done") is True
    prefill, decode = _milliseconds(values, "prompt_eval_duration"), _milliseconds(values, "eval_duration")
    n_new, n_generated = count(values, "prompt_eval_count"), count(values, "eval_count")
    return Chunk(
        text=text(said, "content"),
        thinking=text(said, "thinking"),
        tokens=_tokens(tables(values, "logprobs")),
        finish=(text(values, "done_reason") or "stop") if done else "",
        usage=ServerUsage(n_new, None, n_generated),
        times=ServerTimes(
            load_ms=_milliseconds(values, "load_duration"),
            prefill_ms=prefill,
            decode_ms=decode,
            prefill_tps=n_new / prefill * 1000 if n_new and prefill else None,
            decode_tps=n_generated / decode * 1000 if n_generated and decode else None,
        ),
    )


def _milliseconds(values: JsonTable, key: str) -> float | None:
    nanoseconds = number(values, key)
    return None if nanoseconds is None else nanoseconds / 1e6
