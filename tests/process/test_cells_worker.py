"""The real worker: the KV cells of parallel replies while they run, and cells from earlier requests."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from app.domain.conversation import Role
from app.domain.generation import CellSpan
from app.domain.model import LoadOptions
from app.domain.sampling import SamplingParams
from app.protocol.commands import ChatMessage, Generate, LoadModel
from app.protocol.events import CellsReported, Event, GenerationFinished, GenerationStarted, ModelReady
from tests.fakes.smollm2 import smollm2_path
from tests.process.raw_worker import RawWorker

pytestmark = pytest.mark.model

LOAD = LoadModel(str(smollm2_path()), LoadOptions(n_ctx=512, n_slots=2))
USER = ChatMessage(Role.USER, "Name the colours of the rainbow, and say a word about each of them.")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RawWorker]:
    raw = RawWorker(tmp_path_factory.mktemp("worker") / "log")
    raw.send(LOAD)
    raw.until(ModelReady)
    yield raw
    raw.close()


def finished(worker: RawWorker, *requests: Generate) -> list[Event]:
    worker.send(*requests)
    events: list[Event] = []
    while sum(isinstance(event, GenerationFinished) for event in events) < len(requests):
        events.append(worker.next())
    return events


def shared(cells: tuple[CellSpan, ...]) -> list[tuple[int, int]]:
    """Tokens and sharers of what is shared."""
    return [(span.n_tokens, span.n_sharers) for span in cells if span.n_sharers]


def test_parallel_replies_show_while_they_run_which_cells_they_share_with_how_many(loaded: RawWorker) -> None:
    requests = [
        Generate(i, (USER,), SamplingParams(temperature=1.5, seed=i, max_tokens=30), 0, shares_prefix=True)
        for i in (1, 2, 3)
    ]
    before = time.time()
    events = finished(loaded, *requests)
    after = time.time()
    n_prompt = next(event.n_prompt for event in events if isinstance(event, GenerationStarted))
    cached = [event.n_cached for event in events if isinstance(event, GenerationStarted)]
    assert cached == [0, n_prompt - 1, n_prompt - 1]
    for request in requests:
        reported = [e.cells for e in events if isinstance(e, CellsReported) and e.request_id == request.request_id]
        end = next(e for e in events if isinstance(e, GenerationFinished) and e.request_id == request.request_id)
        # The others stay in the cache when they have ended, so that nothing is shared less in the end.
        assert sum(n for n, _ in shared(end.cells)) == n_prompt - 1
        assert {n for _, n in shared(end.cells)} == {2}
        assert shared(reported[-1]) == shared(end.cells)
        assert [{n for _, n in shared(cells)} for cells in reported if shared(cells)][-1] == {2}
        used = [span for span in end.cells if span.kind != "free"]
        assert all(before <= span.first_at <= span.last_at <= after for span in used)
        assert used[-1].kind == "reply"
        assert used[-1].n_sharers == 0
    sources = [{span.source for span in e.cells if span.n_sharers} for e in events if isinstance(e, GenerationFinished)]
    assert sorted(map(sorted, sources)) == [["computed"], ["shared"], ["shared"]]


def test_the_next_turn_shows_when_what_it_reuses_was_computed(loaded: RawWorker) -> None:
    params = SamplingParams(temperature=0, max_tokens=8)
    (first,) = [e for e in finished(loaded, Generate(11, (USER,), params, 0)) if isinstance(e, GenerationFinished)]
    times = [(span.first_at, span.last_at) for span in first.cells if span.kind == "prompt"]
    again = finished(loaded, Generate(12, (USER,), params, 0))
    (end,) = [e for e in again if isinstance(e, GenerationFinished)]
    started = next(e for e in again if isinstance(e, CellsReported))
    (reused,) = [span for span in end.cells if span.kind == "prompt" and span.source == "reused"]
    (begun,) = [span for span in started.cells if span.kind == "prompt"]
    assert (reused.first_at, reused.last_at) == (begun.first_at, begun.last_at) == times[0]
    own = [span for span in end.cells if span.source == "computed"]
    assert min(span.first_at for span in own) > times[0][1]
