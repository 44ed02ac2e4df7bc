"""Recordings, made without a file."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from app.analysis.recording import ModelOfRecord, Recording
from app.domain.conversation import Role
from app.domain.generation import FinishReason, PromptSpans
from app.domain.model import LoadOptions
from app.domain.sampling import SamplingParams
from app.protocol.commands import ChatMessage
from app.protocol.events import GenerationEvent, GenerationStarted, PrefillProgress, PromptRendered, TokensGenerated
from tests.fakes.engine_events import make_finished, make_prompt, make_ready, make_token

MESSAGES = (
    ChatMessage(Role.SYSTEM, "Be brief."),
    ChatMessage(Role.USER, "One?"),
    ChatMessage(Role.ASSISTANT, "First."),
    ChatMessage(Role.USER, "Two?"),
)


@pytest.fixture
def recording() -> Recording:
    """Three tokens at 30, 40 and 50 ms of the answer to a second question."""
    prompt = make_prompt(20)
    started = GenerationStarted(0, 20, 5, PromptSpans(4, 6, 10), 42)
    events: list[tuple[float, GenerationEvent]] = [
        (0.0, started),
        (0.0, PromptRendered(0, prompt)),
        (20.0, PrefillProgress(0, 15, 15, 20.0)),
    ]
    for n, text in enumerate(("Rain", " falls", " down.")):
        events.append((30.0 + 10 * n, TokensGenerated(0, text, (make_token(text, n, ms=10.0 if n else 30.0),))))
    events.append((50.0, make_finished(0, FinishReason.LENGTH, n_cached=5, n_generated=3)))
    return Recording(
        source="run.jsonl",
        time="2026-01-02T03:04:05.678+00:00",
        model=ModelOfRecord(
            name="tiny",
            title="Tiny Test",
            sha256="0" * 64,
            n_bytes=1,
            options=LoadOptions(),
            ready=make_ready(path="tiny.gguf"),
        ),
        preset="precise",
        sampling=SamplingParams(seed=42),
        speculate=False,
        messages=MESSAGES,
        prompt=prompt,
        started=started,
        events=tuple(events),
    )


@pytest.fixture
def cut(recording: Recording) -> Recording:
    """The same, cut off after its second token."""
    return replace(recording, events=recording.events[:5], cut_at=6)
