"""Cells that go from the conversations' context to that of their branches and back: not a bit of them changes."""

from __future__ import annotations

import pytest

from app.domain.sampling import SamplingParams
from app.engine.core.scheduler import Scheduler
from app.engine.core.sequence import Sequence
from app.engine.native.context import NativeContext
from app.engine.native.memory import StatePart, convert_streams
from app.engine.requests.service import ParallelContext

pytestmark = pytest.mark.model
PROMPT = list(range(1000, 1060))


def run(scheduler: Scheduler, request_id: int, prompt: list[int]) -> Sequence:
    sequence = Sequence(request_id, prompt, SamplingParams(temperature=0, max_tokens=8), 0, 0.0)
    scheduler.submit(sequence)
    while not scheduler.idle:
        scheduler.step()
    assert scheduler.check_integrity() == []
    return sequence


def test_cells_come_back_from_another_context_as_they_were(context: NativeContext) -> None:
    main = Scheduler(context)
    branches = ParallelContext(context, main)
    try:
        first = run(main, 1, PROMPT)
        branch = run(branches.scheduler, 2, [*PROMPT, *first.generated])
        assert (branch.cache.n_cached, branch.cache.moved) == (len(PROMPT) + 7, True)
        follow_up = run(main, 3, [*PROMPT, *first.generated, *branch.generated, 5])
        assert (follow_up.cache.n_cached, follow_up.cache.moved) == (len(PROMPT) + 15, True)

        before, for_branches = context.read_state(0), context.read_state(0, branches.context.n_streams)
        assert before is not None
        assert for_branches is not None
        assert branches.context.write_state(0, for_branches)
        there = branches.context.read_state(0, context.n_streams)
        assert there is not None
        assert context.write_state(0, there)
        after = context.read_state(0)
        assert after is not None
        assert (before == after).all()
    finally:
        branches.context.close()


def test_what_is_no_state_of_one_stream_is_refused(context: NativeContext) -> None:
    run(Scheduler(context), 1, PROMPT)
    state = context.read_state(0)
    assert state is not None
    with pytest.raises(ValueError, match="one sequence in one stream"):
        convert_streams(state, (StatePart.CELLS,), len(state), context.n_streams + 1, 1)
    other = context.read_state(0, context.n_streams + 1)
    assert other is not None
    assert not context.write_state(1, other)
    assert context.n_cells(1) == 0
