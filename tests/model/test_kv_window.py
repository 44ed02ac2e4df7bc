"""Context policies on the real model: nothing overflows, nothing is dropped in silence, the account holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.domain.conversation import Role
from app.domain.generation import FinishReason
from app.domain.model import LoadOptions
from app.domain.sampling import SamplingParams
from app.engine.core.events import Shifted
from app.engine.core.scheduler import Scheduler
from app.engine.core.sequence import Sequence
from app.engine.native import library
from app.engine.native.context import NativeContext
from app.engine.native.loader import LoadedModel
from app.engine.requests.prompting import fit
from app.engine.requests.service import ModelService
from app.engine.text.prompt import PromptBuilder
from app.engine.text.renderer import Renderer
from app.engine.text.template import ChatTemplate
from app.protocol.commands import ChatMessage, Generate, LoadModel

pytestmark = pytest.mark.model


@pytest.fixture
def small(loaded: LoadedModel) -> Iterator[NativeContext]:
    context = NativeContext(loaded.model, LoadOptions(n_slots=1), 256)
    yield context
    context.close()


@pytest.fixture
def builder(loaded: LoadedModel) -> Iterator[PromptBuilder]:
    renderer = Renderer()
    renderer.start()
    yield PromptBuilder(loaded.model.vocab, ChatTemplate(loaded.model.chat_template, loaded.model.vocab, renderer))
    renderer.close()


def conversation(n_turns: int) -> list[ChatMessage]:
    messages = [ChatMessage(Role.SYSTEM, "You are brief.")]
    for i in range(n_turns):
        messages += [ChatMessage(Role.USER, f"Question number {i}?"), ChatMessage(Role.ASSISTANT, f"Answer {i}.")]
    return [*messages, ChatMessage(Role.USER, "What was the first question?")]


def test_oldest_turns_are_dropped_and_the_next_message_finds_the_rest_cached(
    builder: PromptBuilder, small: NativeContext
) -> None:
    scheduler = Scheduler(small)
    cached: list[tuple[int, int]] = []
    for n_turns in (20, 21):
        fitted = fit(builder.build, conversation(n_turns), small.n_ctx, 32)
        assert len(fitted.prompt.ids) + 32 <= small.n_ctx
        assert fitted.n_messages > 0
        assert fitted.prompt.spans.n_system > 0
        sequence = Sequence(n_turns, fitted.prompt.ids, SamplingParams(temperature=0, max_tokens=2), 0, 0.0)
        scheduler.submit(sequence)
        while not scheduler.idle:
            scheduler.step()
        assert scheduler.check_integrity() == []
        cached.append((fitted.n_messages, sequence.cache.n_cached))
    assert cached[0][0] == cached[1][0]
    assert cached[1][1] > 100


def test_a_shifted_reply_goes_on_past_the_window(builder: PromptBuilder, small: NativeContext) -> None:
    assert small.can_shift
    prompt = builder.build(conversation(3))
    scheduler = Scheduler(small)
    sequence = Sequence(1, prompt.ids, SamplingParams(seed=3, max_tokens=320), 0, 0.0)
    sequence.spans, sequence.shift = prompt.spans, True
    small_eog, small.eog = small.eog, frozenset()  # so that the reply is long enough
    try:
        scheduler.submit(sequence)
        shifts: list[Shifted] = []
        while not scheduler.idle:
            shifts += [h for h in scheduler.step() if isinstance(h, Shifted)]
            assert scheduler.check_integrity() == []
    finally:
        small.eog = small_eog
    assert sequence.finish_reason is FinishReason.LENGTH
    assert len(sequence.generated) == 320
    assert len(shifts) >= 2
    assert {shift.n_kept for shift in shifts} == {prompt.spans.n_system}
    assert scheduler.slots.slots[0].tokens == prompt.ids[: prompt.spans.n_system]


def test_a_model_that_cannot_be_cut_is_not_shifted_and_says_so(smollm2: Path) -> None:
    library.start()
    renderer = Renderer()
    host = ModelService(LoadModel(str(smollm2), LoadOptions(n_ctx=256)), lambda fraction: True, renderer)
    asked = Generate(1, (ChatMessage(Role.USER, "Hi"),), SamplingParams(), context_policy="shift")
    try:
        assert host.submit(asked, 0.0).sequence.shift
        host.loaded.context.partial_removal = False  # after an abort what was forgotten could not be computed again
        reply = host.submit(asked, 0.0)
        assert not reply.sequence.shift
        assert "cannot be shifted" in reply.prompt.notices[-1]
    finally:
        host.close()
        renderer.close()


def test_a_shift_that_llama_cpp_would_not_survive_is_refused(small: NativeContext) -> None:
    with pytest.raises(ValueError, match="discard"):
        small.shift(0, 4, 10)
