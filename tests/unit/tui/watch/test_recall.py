"""The figures of an old reply, told again from what is kept of it."""

from app.domain.conversation import GenerationRecord
from app.domain.generation import CellSpan, FinishReason, Timings, Usage
from app.domain.reply_trace import ReplyTrace
from app.tui.meter import RunMeter
from app.tui.watch.recall import events_of
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
