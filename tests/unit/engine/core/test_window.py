"""A full window under `shift`: what is kept, what goes, and an account that stays straight."""

from __future__ import annotations

from app.domain.generation import FinishReason, PromptSpans
from app.domain.sampling import SamplingParams
from app.engine.core.events import Shifted, StepEvent
from app.engine.core.scheduler import Scheduler
from app.engine.core.sequence import Sequence
from tests.fakes.toy_native import ToyBackend


def request(prompt: list[int], n_system: int, max_tokens: int, request_id: int = 1) -> Sequence:
    made = Sequence(request_id, prompt, SamplingParams(max_tokens=max_tokens), 0, 0.0)
    made.spans, made.shift = PromptSpans(n_system), True
    return made


def run(scheduler: Scheduler, sequence: Sequence) -> list[StepEvent]:
    scheduler.submit(sequence)
    happened: list[StepEvent] = []
    while not scheduler.idle:
        happened += scheduler.step()
        assert scheduler.check_integrity() == []
    return happened


def test_half_of_what_follows_the_system_prompt_is_forgotten() -> None:
    backend = ToyBackend(lambda tokens: 5, n_ctx=16)
    reply = request([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], n_system=6, max_tokens=20)
    happened = run(Scheduler(backend), reply)
    shifts = [(h.n_kept, h.n_discarded) for h in happened if isinstance(h, Shifted)]
    assert shifts == [(6, 5), (6, 5), (6, 5)]
    assert reply.finish_reason is FinishReason.LENGTH
    assert len(reply.generated) == 20
    assert reply.n_shifted == 15


def test_shifted_cells_are_not_used_for_another_prompt() -> None:
    backend = ToyBackend(lambda tokens: 5, n_ctx=16)
    scheduler = Scheduler(backend)
    run(scheduler, request([1, 2, 3, 4, 5, 6, 7, 8], n_system=6, max_tokens=12))
    assert scheduler.slots.slots[0].tokens == backend.cells[0] == [1, 2, 3, 4, 5, 6]


def test_without_a_system_prompt_the_first_tokens_stay() -> None:
    backend = ToyBackend(lambda tokens: 5, n_ctx=16)
    happened = run(Scheduler(backend), request([1, 2, 3, 4, 5, 6], n_system=0, max_tokens=12))
    assert [h.n_kept for h in happened if isinstance(h, Shifted)] == [4]


def test_a_window_that_the_system_prompt_fills_ends_the_reply() -> None:
    backend = ToyBackend(lambda tokens: 5, n_ctx=16)
    reply = request([1] * 15, n_system=15, max_tokens=50)
    assert not any(isinstance(h, Shifted) for h in run(Scheduler(backend), reply))
    assert reply.finish_reason is FinishReason.CONTEXT
