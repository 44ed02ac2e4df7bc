import math
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from app.domain.generation import FinishReason, Stop, Timings, Usage
from app.protocol.events import GenerationFinished, GenerationStarted, PrefillProgress, TokensGenerated
from app.remote.chunks import Chunk, LikelyToken, read_chunk
from app.remote.errors import StreamError
from app.remote.reply import RemoteReply


class Clock:
    """Moves by a tenth of a second with every look at it."""

    def __init__(self) -> None:
        self._times: Iterator[float] = (n / 10 for n in range(1000))

    def __call__(self) -> float:
        return next(self._times)


def fold(chunks: Sequence[Chunk | dict[str, Any]], n_ctx: int = 0) -> tuple[list[Any], GenerationFinished]:
    reply = RemoteReply(1, 7, n_ctx, Clock())
    read = [each if isinstance(each, Chunk) else read_chunk(each) for each in chunks]
    return [event for chunk in read for event in reply.take(chunk)], reply.end()


def usage(n_prompt: int, n_generated: int, n_cached: int | None = None) -> dict[str, Any]:
    details = {} if n_cached is None else {"prompt_tokens_details": {"cached_tokens": n_cached}}
    return {"usage": {"prompt_tokens": n_prompt, "completion_tokens": n_generated, **details}}


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"choices": [{"delta": {"content": text}, "finish_reason": None}], **more}


def test_a_bare_stream_gives_text_and_no_number_that_nobody_measured() -> None:
    events, end = fold([Chunk("He"), Chunk("y"), Chunk(finish="stop")])
    assert isinstance(events[0], GenerationStarted)
    assert (events[0].n_prompt, events[0].seed, events[0].app_clock) == (0, 7, True)
    assert [(event.text, event.tokens, event.n_untraced) for event in events[1:]] == [("He", (), 0), ("y", (), 0)]
    assert [event.untraced_ms for event in events[1:]] == [pytest.approx(100), pytest.approx(100)]
    assert (end.finish_reason, end.usage) == (FinishReason.STOP, Usage())
    assert end.timings == Timings(
        ttft_ms=pytest.approx(100), decode_ms=pytest.approx(100), app_clock=("ttft_ms", "decode_ms", "decode_tps")
    )


def test_usage_at_the_end_counts_and_the_app_measures() -> None:
    _, end = fold([Chunk("a"), Chunk("b"), Chunk("c", finish="stop"), usage(9, 5, 8)])
    assert end.usage == Usage(9, 8, 5)
    assert end.timings.decode_tps == pytest.approx(4 / 0.2)
    assert end.timings.app_clock == ("ttft_ms", "decode_ms", "decode_tps")
    assert (end.timings.prefill_ms, end.timings.prefill_tps) == (0.0, 0.0)


def test_no_more_tokens_are_cached_than_there_are() -> None:
    assert fold([Chunk("a", finish="stop"), usage(9, 1, 10)])[1].usage == Usage(9, 9, 1)


def test_usage_in_every_chunk_counts_while_it_runs() -> None:
    events, end = fold(
        [said("", **usage(9, 0)), said("a", **usage(9, 2)), said("b", **usage(9, 3)), Chunk(finish="stop")]
    )
    assert events[0].n_prompt == 9
    assert [event.n_untraced for event in events[1:]] == [2, 1]
    assert end.usage == Usage(9, 0, 3)


def test_log_probabilities_are_the_trace() -> None:
    token = LikelyToken("a", -0.5, b"a")
    events, end = fold([Chunk("a", tokens=(token,)), Chunk("b", tokens=(token, token)), Chunk(finish="stop")])
    assert [len(event.tokens) for event in events[1:]] == [1, 2]
    assert [event.n_untraced for event in events[1:]] == [0, 0]
    assert [event.untraced_ms for event in events[1:]] == [0.0, 0.0]
    assert [each.ms for event in events[1:] for each in event.tokens] == [pytest.approx(100), pytest.approx(100), 0.0]
    assert end.usage.n_generated == 3


def test_tokens_that_a_server_counts_beyond_its_log_probabilities_are_counted_once() -> None:
    token = LikelyToken("a", -0.5, b"a")
    events, _ = fold([Chunk("a", tokens=(token,), usage=read_chunk(usage(9, 3)).usage)])
    assert (len(events[1].tokens), events[1].n_untraced) == (1, 2)


def test_the_times_of_llama_server_are_the_servers() -> None:
    timings = {
        **{"cache_n": 2, "prompt_n": 7, "prompt_ms": 70.0, "prompt_per_second": 100.0},
        **{"predicted_n": 3, "predicted_ms": 20.0, "predicted_per_second": 150.0},
    }
    progress = {"prompt_progress": {"total": 9, "cache": 2, "processed": 5, "time_ms": 30}}
    events, end = fold([said("", **progress), said("a"), {"choices": [], "timings": timings}, Chunk(finish="stop")])
    assert (events[0].n_prompt, events[0].n_cached) == (9, 2)
    assert events[1] == PrefillProgress(1, 3, 7, 30)
    assert end.usage == Usage(9, 2, 3)
    assert end.timings == Timings(
        prefill_ms=70.0,
        ttft_ms=pytest.approx(100),
        decode_ms=20.0,
        prefill_tps=100.0,
        decode_tps=150.0,
        app_clock=("ttft_ms",),
    )


def test_thinking_is_kept_apart() -> None:
    events, _ = fold([Chunk(thinking="hm"), Chunk("a"), Chunk(finish="stop")])
    assert [(event.text, event.reasoning) for event in events[1:]] == [("", "hm"), ("a", "")]


@pytest.mark.parametrize(
    ("word", "reason", "error"),
    [
        ("stop", FinishReason.STOP, ""),
        ("eos_token", FinishReason.STOP, ""),
        ("stop_sequence", FinishReason.STOP, ""),
        ("tool_calls", FinishReason.STOP, ""),
        ("something new", FinishReason.STOP, ""),
        ("length", FinishReason.LENGTH, ""),
        ("content_filter", FinishReason.ERROR, "the server ended the reply: its filter"),
        ("abort", FinishReason.ERROR, "the server ended the reply: abort"),
        ("error", FinishReason.ERROR, "the server ended the reply: error"),
    ],
)
def test_an_end_is_in_our_words(word: str, reason: FinishReason, error: str) -> None:
    _, end = fold([Chunk("a", finish=word)])
    assert (end.finish_reason, end.error) == (reason, error)


def test_a_window_that_is_full_is_no_length_limit() -> None:
    chunks = [Chunk("a", finish="length"), usage(60, 40)]
    assert fold(chunks, n_ctx=100)[1].finish_reason is FinishReason.CONTEXT
    assert fold(chunks, n_ctx=101)[1].finish_reason is FinishReason.LENGTH
    assert fold(chunks)[1].finish_reason is FinishReason.LENGTH


def test_what_ended_it_is_kept_where_it_is_said() -> None:
    assert fold([Chunk("a", finish="stop", stop=Stop("string", "END"))])[1].stop == Stop("string", "END")


def test_drafting_that_is_reported_is_shown() -> None:
    _, end = fold([{"choices": [], "timings": {"draft_n": 6, "draft_n_accepted": 5}}, Chunk("a", finish="stop")])
    assert end.drafting is not None
    assert (end.drafting.n_drafted, end.drafting.n_accepted) == (6, 5)


def test_a_failure_keeps_what_was_counted() -> None:
    reply = RemoteReply(1, 7, 0, Clock())
    reply.take(Chunk("a", usage=read_chunk(usage(9, 1)).usage))
    end = reply.failed(StreamError("gone", "again"))
    assert (end.finish_reason, end.error, end.hint, end.usage) == (FinishReason.ERROR, "gone", "again", Usage(9, 0, 1))
    assert not math.isnan(end.timings.ttft_ms)


def test_nothing_that_came_has_no_times() -> None:
    end = RemoteReply(1, 7, 0, Clock()).aborted()
    assert (end.finish_reason, end.timings, end.usage) == (FinishReason.ABORT, Timings(), Usage())


def test_a_chunk_that_says_nothing_is_the_beginning_alone() -> None:
    events, _ = fold([Chunk(), Chunk(), Chunk(finish="stop")])
    assert [type(event) for event in events] == [GenerationStarted]
    assert not [event for event in events if isinstance(event, TokensGenerated)]
