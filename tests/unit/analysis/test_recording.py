"""The figures of an old reply, computed from its stored trace."""

from app.analysis.meter import RunMeter
from app.analysis.recording import events_of
from app.domain.conversation import GenerationRecord
from app.domain.generation import CellSpan, FinishReason, Timings, Usage
from app.domain.trace import ReplyTrace
from app.protocol.events import ContextShifted, GenerationFinished, TokensGenerated
from tests.fakes.engine_events import make_token


def test_what_a_fork_kept_is_not_counted_as_generated():
    trace = ReplyTrace(
        tokens=tuple(make_token(f" t{i}", i, ms=10.0 * (i + 1)) for i in range(5)),
        cells=(CellSpan("prompt", 20, "reused"), CellSpan("reply", 2, "reused"), CellSpan("reply", 2, "computed")),
    )
    record = GenerationRecord(
        model="m",
        preset="p",
        seed=1,
        finish_reason=FinishReason.LENGTH,
        usage=Usage(22, 21, 3),
        timings=Timings(ttft_ms=30.0, decode_ms=90.0),
    )
    made = RunMeter()
    for event in events_of(record, trace):
        made.apply(event)
    assert [token.text for token in made.tokens] == [" t2", " t3", " t4"]
    assert (made.latency.n, made.latency.total_ms, made.n_generated) == (2, 90.0, 3)


def test_shifts_are_reported_where_the_window_was_full():
    # A window of 40: 30 tokens of prompt, the system's 10 stay, and each shift forgets 15.
    trace = ReplyTrace(
        tokens=tuple(make_token(f" t{i}", i) for i in range(30)),
        cells=(CellSpan("system", 10, "reused"), CellSpan("reply", 24, "computed"), CellSpan("free", 6)),
    )
    record = GenerationRecord(
        model="m",
        preset="p",
        seed=1,
        finish_reason=FinishReason.LENGTH,
        usage=Usage(30, 0, 30),
        n_shifted_tokens=30,
    )
    events = events_of(record, trace)
    sizes = [
        len(event.tokens) if isinstance(event, TokensGenerated) else -event.n_discarded
        for event in events
        if isinstance(event, TokensGenerated | ContextShifted)
    ]
    assert sizes == [11, -15, 15, -15, 4]
    made = RunMeter()
    for event in events:
        made.apply(event)
    assert (made.n_shifted, made.latency.deepest, made.latency.last_depth) == (30, 40, 29)
    assert made.context(40).n_used == 30


def test_a_shift_whose_place_is_not_known_comes_last():
    trace = ReplyTrace(tokens=tuple(make_token(f" t{i}", i) for i in range(4)))
    record = GenerationRecord(
        model="m", preset="p", seed=1, finish_reason=FinishReason.LENGTH, usage=Usage(8, 0, 4), n_shifted_tokens=3
    )
    kinds = [type(event) for event in events_of(record, trace)]
    assert kinds[-3:] == [TokensGenerated, ContextShifted, GenerationFinished]
