"""The account of a window: every cell once, with its source and its time."""

from __future__ import annotations

import itertools

from app.domain.generation import CellSpan, FinishReason, PromptSpans
from app.domain.sampling import SamplingParams
from app.engine.core.scheduler import Scheduler
from app.engine.core.sequence import Sequence
from tests.fakes.toy_native import ToyBackend


def run(scheduler: Scheduler, prompt: list[int], spans: PromptSpans, max_tokens: int, shift: bool = False) -> Sequence:
    sequence = Sequence(1, prompt, SamplingParams(max_tokens=max_tokens), 0, 0.0, spans=spans, shift=shift)
    scheduler.submit(sequence)
    while not scheduler.idle:
        scheduler.step()
    return sequence


def make(n_ctx: int = 32) -> Scheduler:
    ticks = itertools.count(1)
    return Scheduler(ToyBackend(lambda tokens: 5, n_ctx=n_ctx), clock=lambda: next(ticks) / 1000)


def counts(sequence: Sequence) -> list[tuple[str, int, str]]:
    return [(span.kind, span.n_tokens, span.source) for span in sequence.cells]


def test_every_cell_of_two_turns() -> None:
    scheduler = make()
    first = run(scheduler, [1, 2, 3, 4, 5, 6], PromptSpans(3, 0, 3), 3)
    assert counts(first) == [
        ("system", 3, "computed"),
        ("prompt", 3, "computed"),
        ("reply", 2, "computed"),
        ("free", 24, ""),
    ]
    timings = first.timings(1.0, 0.0)
    assert sum(span.ms for span in first.cells) == timings.prefill_ms + timings.decode_ms
    second = run(scheduler, [1, 2, 3, 4, 5, 6, 5, 5, 7, 8], PromptSpans(3, 6, 1), 1)
    assert counts(second) == [
        ("system", 3, "reused"),
        ("earlier", 5, "reused"),
        ("earlier", 1, "computed"),
        ("prompt", 1, "computed"),
        ("free", 22, ""),
    ]


def test_shifted_cells_are_gone_oldest_first() -> None:
    request = run(make(16), [1] * 10, PromptSpans(4, 4, 2), 10, shift=True)
    assert request.n_shifted == 6
    assert counts(request) == [("system", 4, "computed"), ("reply", 9, "computed"), ("free", 3, "")]


def test_a_request_without_a_place_has_no_cells() -> None:
    request = run(make(8), [1] * 9, PromptSpans(), 1)
    assert request.finish_reason is FinishReason.CONTEXT
    assert request.cells == ()


def test_the_parts_of_a_prompt_that_was_cut_short_are_those_computed() -> None:
    scheduler = make(200)
    sequence = Sequence(1, [1] * 100, SamplingParams(), 0, 0.0, spans=PromptSpans(10, 50, 40))
    scheduler.submit(sequence)
    scheduler.step()
    sequence.finish(FinishReason.ABORT)
    scheduler.step()
    assert counts(sequence) == [("system", 10, "computed"), ("earlier", 22, "computed"), ("free", 168, "")]
    assert all(span.ms > 0 for span in sequence.cells[:2])
    assert sequence.cells[2] == CellSpan("free", 168)
