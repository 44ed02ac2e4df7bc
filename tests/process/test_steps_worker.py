"""The real worker, stepped: held, reported, forced and banned tokens, and what a paused request must never block."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from app.domain.conversation import Role
from app.domain.generation import FinishReason
from app.domain.model import LoadOptions
from app.domain.sampling import SamplingParams
from app.domain.trace import Origin, TokenTrace
from app.protocol.commands import Abort, ChatMessage, Generate, LoadModel, Pause, Predict, Resume, Score, Tokenize
from app.protocol.events import (
    Event,
    GenerationFinished,
    GenerationStarted,
    ModelReady,
    Paused,
    Predicted,
    PromptRendered,
    ScoreFinished,
    SlotsHeld,
    Tokenized,
    TokensGenerated,
)
from tests.fakes.smollm2 import smollm2_path
from tests.process.raw_worker import RawWorker

pytestmark = pytest.mark.model

LOAD = LoadModel(str(smollm2_path()), LoadOptions(n_ctx=512, n_slots=2))
USER = ChatMessage(Role.USER, "Name the colours of the rainbow.")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RawWorker]:
    raw = RawWorker(tmp_path_factory.mktemp("worker") / "log")
    raw.send(LOAD)
    raw.until(ModelReady)
    yield raw
    raw.close()


ids = iter(range(1, 1000))


def request(*messages: ChatMessage, sampling: SamplingParams | None = None, **fields: object) -> Generate:
    sampling = sampling or SamplingParams(temperature=0, max_tokens=12)
    return Generate(next(ids), messages or (USER,), sampling, 3, **fields)  # type: ignore[arg-type]


def until(worker: RawWorker, kind: type[Event]) -> list[Event]:
    events = [worker.next()]
    while not isinstance(events[-1], kind):
        events.append(worker.next())
    return events


def reply(worker: RawWorker, command: Generate) -> list[Event]:
    worker.send(command)
    return until(worker, GenerationFinished)


def tokens(events: list[Event]) -> list[TokenTrace]:
    return [token for event in events if isinstance(event, TokensGenerated) for token in event.tokens]


def text(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TokensGenerated))


def one(events: list[Event], kind: type[Event]) -> Event:
    (found,) = [event for event in events if isinstance(event, kind)]
    return found


def test_a_stepped_reply_is_the_one_that_was_not_stepped(loaded: RawWorker) -> None:
    sampling = SamplingParams(seed=7, max_tokens=8, repeat_penalty=1.2)
    plain = reply(loaded, request(sampling=sampling))
    command = request(sampling=sampling, n_steps=0)
    loaded.send(command)
    events = until(loaded, Paused)
    n = 0
    while isinstance(events[-1], Paused):
        paused = events[-1]
        assert paused.n_generated == n == len(tokens(events))
        assert len(paused.prediction.before) == 3
        loaded.send(Resume(command.request_id, n_steps=1))
        events.append(loaded.next())
        while not isinstance(events[-1], Paused | GenerationFinished):
            events.append(loaded.next())
        n += 1
    assert text(events) == text(plain)
    assert [token.id for token in tokens(events)] == [token.id for token in tokens(plain)]
    assert one(events, GenerationFinished).usage.n_generated == n == 8  # type: ignore[attr-defined]


def test_tokens_and_text_are_forced_and_tokens_banned(loaded: RawWorker) -> None:
    command = request(n_steps=0)
    loaded.send(command)
    paused = until(loaded, Paused)[-1]
    assert isinstance(paused, Paused)
    second = paused.prediction.before[1]
    loaded.send(Resume(command.request_id, 0, ban_ids=(paused.prediction.before[0].id,)))
    again = loaded.until(Paused)
    assert again.prediction.before == paused.prediction.before
    assert [token.id for token in again.prediction.after] == [second.id]
    loaded.send(Resume(command.request_id, 0, unban_ids=(paused.prediction.before[0].id,)))
    assert loaded.until(Paused).prediction == paused.prediction
    loaded.send(Resume(command.request_id, 0, ban_ids=(paused.prediction.before[0].id,)))
    loaded.until(Paused)
    loaded.send(Resume(command.request_id, None, (second.id,), "<|im_end|> red"))
    events = until(loaded, GenerationFinished)
    forced = [token for token in tokens(events) if token.origin is Origin.FORCED]
    assert forced[0].id == second.id
    assert "".join(token.text for token in forced[1:]) == "<|im_end|> red"
    assert text(events).startswith(second.text + "<|im_end|> red")
    assert not any(token.id == paused.prediction.before[0].id for token in tokens(events))


def test_a_pause_while_it_runs(loaded: RawWorker) -> None:
    command = request(sampling=SamplingParams(seed=1, ban=("<|im_end|>",)))
    loaded.send(command)
    loaded.until(TokensGenerated)
    loaded.send(Pause(command.request_id))
    loaded.until(Paused)
    other = reply(loaded, request())
    assert all(event.request_id != command.request_id for event in other)  # type: ignore[union-attr]
    loaded.send(Abort(command.request_id))
    assert loaded.until(GenerationFinished).finish_reason is FinishReason.ABORT


def test_a_paused_request_costs_no_processor_time(loaded: RawWorker) -> None:
    """Blocked on its input, with another request waiting for the slots: read from the kernel's account."""
    held = [request(n_steps=0), request(ChatMessage(Role.USER, "Hi"), n_steps=0)]
    loaded.send(*held)
    loaded.until(Paused)
    loaded.until(Paused)
    waiting = request()
    loaded.send(waiting)
    stat = f"/proc/{loaded.process.pid}/status"
    if not os.path.exists(stat):
        pytest.skip("no /proc")
    states: list[str] = []
    ends_s = time.monotonic() + 20
    while states[-20:] != ["S"] * 20 and time.monotonic() < ends_s:
        with open(stat) as file:
            states.append(file.read().split("State:\t")[1][0])
        time.sleep(0.002)
    assert states[-20:] == ["S"] * 20
    for each in held:
        loaded.send(Abort(each.request_id))
        assert loaded.until(GenerationFinished).request_id == each.request_id
    assert loaded.until(GenerationFinished).request_id == waiting.request_id


def test_a_fork_reuses_all_but_one_token_and_the_next_turn_finds_the_whole_reply(loaded: RawWorker) -> None:
    whole = reply(loaded, request())
    kept = tokens(whole)[:6]
    command = request(reply_ids=tuple(token.id for token in kept), include_prompt=True)
    events = reply(loaded, command)
    started, reported = events[0], events[1]
    assert isinstance(started, GenerationStarted)
    assert isinstance(reported, PromptRendered)
    assert started.n_cached == started.n_prompt - 1 == len(reported.tokens) - 1
    assert [token.id for token in reported.tokens[-6:]] == [token.id for token in kept]
    head = text(whole).encode()[: sum(token.n_bytes for token in kept)].decode()
    content = head + text(events)
    assert [token.id for token in tokens(events)[:6]] == [token.id for token in tokens(whole)[6:12]]
    follow = reply(
        loaded, request(USER, ChatMessage(Role.ASSISTANT, content), ChatMessage(Role.USER, "And?"), include_prompt=True)
    )
    again = follow[0]
    assert isinstance(again, GenerationStarted)
    assert again.n_cached >= started.n_prompt + len(tokens(events)) - 1


def test_a_reply_begins_with_a_given_text(loaded: RawWorker) -> None:
    events = reply(loaded, request(reply_text="Purple, <|im_end|>"))
    assert text(events).startswith("Purple, <|im_end|>")
    forced = [token for token in tokens(events) if token.origin is Origin.FORCED]
    assert sum(token.n_bytes for token in forced) == len("Purple, <|im_end|>")
    assert all(token.p > 0 and token.rank >= 1 for token in forced)


def test_a_cut_inside_a_character_loses_no_byte(loaded: RawWorker) -> None:
    whole = "a 🦄 b"
    sampling = SamplingParams(temperature=0, max_tokens=9, ban=("<|im_end|>",))
    first = reply(loaded, request(reply_text=whole, sampling=sampling))
    traced = tokens(first)
    assert text(first).startswith(whole)
    assert sum(token.n_bytes for token in traced) == len(text(first).encode())
    parts = [i for i, token in enumerate(traced) if "<0x" in token.text]
    assert len(parts) > 1, "the character is cut by the vocabulary"
    n_kept = parts[0] + 1
    kept = traced[:n_kept]
    assert sum(token.n_bytes for token in kept) == len("a ")
    force = tuple(f"#{token.id}" for token in traced[n_kept:])
    forked = reply(
        loaded,
        request(
            reply_ids=tuple(token.id for token in kept),
            sampling=SamplingParams(force=force, max_tokens=len(force)),
        ),
    )
    assert "a " + text(forked) == text(first)
    assert [token.n_bytes for token in tokens(forked)] == [token.n_bytes for token in traced[n_kept:]]


def test_the_prompt_is_reported_byte_by_byte_and_can_be_sent_as_ids(loaded: RawWorker) -> None:
    events = reply(loaded, request(include_prompt=True))
    reported = events[1]
    assert isinstance(reported, PromptRendered)
    rendered = "".join(token.text for token in reported.tokens)
    assert USER.content in rendered
    assert [token.text for token in reported.tokens if token.is_control][:2] == ["<|im_start|>", "<|im_end|>"]
    assert sum(token.n_bytes for token in reported.tokens) == len(rendered.encode())
    raw = reply(loaded, request(prompt_ids=tuple(token.id for token in reported.tokens)))
    assert [token.id for token in tokens(raw)] == [token.id for token in tokens(events)]


def test_a_token_that_does_not_exist_ends_the_request_with_an_error(loaded: RawWorker) -> None:
    finished = reply(loaded, request(reply_ids=(49152,)))[-1]
    assert isinstance(finished, GenerationFinished)
    assert (finished.finish_reason, finished.error) == (
        FinishReason.ERROR,
        "there is no token #49152: the vocabulary has 49152",
    )
    command = request(n_steps=0)
    loaded.send(command)
    loaded.until(Paused)
    loaded.send(Resume(command.request_id, force_ids=(-1,)))
    assert "no token #-1" in loaded.until(GenerationFinished).error


def test_the_phases_of_a_reply_sum_to_its_time(loaded: RawWorker) -> None:
    """To 2 %, of the least disturbed of some replies: another process on the machine is no phase of ours."""
    missing: list[float] = []
    for seed in range(5):
        events = reply(loaded, request(sampling=SamplingParams(seed=seed, max_tokens=40, ban=("<|im_end|>",))))
        finished, traced = events[-1], tokens(events)
        assert isinstance(finished, GenerationFinished)
        timings = finished.timings
        wall_ms = timings.queue_ms + timings.prefill_ms + timings.decode_ms
        assert sum(token.ms for token in traced) == pytest.approx(wall_ms)
        phases = sum(token.decode_ms + token.sample_ms for token in traced) + sum(t.text_ms for t in traced[:-1])
        phases += timings.queue_ms
        assert phases <= wall_ms * 1.0001
        missing.append(1 - phases / wall_ms)
        if missing[-1] < 0.02:
            break
    assert min(missing) < 0.02, missing


def test_a_model_is_loaded_and_the_worker_ends_while_a_request_is_paused(worker: RawWorker) -> None:
    worker.send(LOAD)
    worker.until(ModelReady)
    worker.send(request(n_steps=1))
    worker.until(Paused)
    worker.send(LOAD)
    finished = worker.until(GenerationFinished)
    assert (finished.finish_reason, finished.usage.n_generated) == (FinishReason.ERROR, 1)
    worker.until(ModelReady)
    worker.send(request(n_steps=0))
    worker.until(Paused)


def test_a_request_that_waits_for_paused_ones_is_reported_so_and_questions_are_refused(loaded: RawWorker) -> None:
    held = [request(n_steps=0), request(USER, n_steps=0)]
    loaded.send(*held)
    until(loaded, Paused)
    until(loaded, Paused)
    late = request(sampling=SamplingParams(temperature=0, max_tokens=2))
    predict = Predict(next(ids), (USER,), SamplingParams())
    loaded.send(late)
    assert until(loaded, SlotsHeld)[-1] == SlotsHeld(late.request_id, tuple(each.request_id for each in held))
    loaded.send(predict)
    answer = until(loaded, Predicted)[-1]
    assert isinstance(answer, Predicted)
    assert answer.error == "paused requests hold all slots: resume or stop one, then try again"
    loaded.send(Abort(held[0].request_id))
    started = until(loaded, GenerationStarted)[-1]
    assert isinstance(started, GenerationStarted)
    assert started.request_id == late.request_id
    loaded.send(Abort(held[1].request_id))
    until(loaded, GenerationFinished)
    until(loaded, GenerationFinished)


def test_a_very_long_text_keeps_nobody_waiting_and_is_given_up_at_once(loaded: RawWorker) -> None:
    text = "Rain falls on the hills, and the hills give it to the sea. " * 150_000  # many seconds of work
    tokenize, score = Tokenize(next(ids), text), Score(next(ids), text)
    loaded.send(tokenize, score)
    events = reply(loaded, request(sampling=SamplingParams(temperature=0, max_tokens=1)))
    assert not any(isinstance(event, Tokenized | ScoreFinished) for event in events)
    loaded.send(Abort(score.request_id), Abort(tokenize.request_id))
    assert loaded.next() == ScoreFinished(score.request_id, error="it was aborted")
    assert loaded.next() == Tokenized(tokenize.request_id, error="it was aborted")
