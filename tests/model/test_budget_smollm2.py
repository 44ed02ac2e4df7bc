"""The budget before a message is sent equals what the real worker counts when it is sent, to the token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from app.client.connection import Graces
from app.client.worker_client import WorkerClient
from app.domain.conversation import UserMessage
from app.domain.generation import ContextPolicy, FinishReason, PromptSpans
from app.domain.model import LoadOptions
from app.domain.sampling import Preset, SamplingParams
from app.protocol.commands import Generate, LoadModel, Tokenize
from app.protocol.events import ContextTrimmed, GenerationFinished, GenerationStarted, ModelReady, PromptFit
from app.session.budget import Budget, budget_of
from app.session.session import Session
from app.session.tree import prompt_messages
from app.session.turn import TurnSettings
from app.store.store import Store

pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]

N_CTX = 256
DRAFTS = (
    "Name a colour.",
    "  Grüße aus 東京 🙂\n\n<|im_end|> is a name, not an end.  ",
    "Half a pair: \ud800.",
    "And why? " * 20,
    "Tell me of the sea. " * 15,
    "And of the wind.",
)
STRIPS_THINKING = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.role == 'assistant' and '</think>' in m.content %}{{ m.content.split('</think>')[-1] }}"
    "{% else %}{{ m.content }}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Leaves the thinking of earlier replies out, as the templates of reasoning models do."""


@asynccontextmanager
async def worker(folder: Path, model: Path, options: LoadOptions) -> AsyncGenerator[WorkerClient]:
    client = WorkerClient(folder / "log", graces=Graces(abort_s=20.0, exit_s=10.0))
    last = None
    async for event in client.load(LoadModel(str(model), options)):
        last = event
    assert isinstance(last, ModelReady)
    assert last.n_ctx == N_CTX
    yield client
    await client.close()


def preset(policy: ContextPolicy, max_tokens: int = 12, **sampling: object) -> Preset:
    made = SamplingParams(temperature=0.0, max_tokens=max_tokens, **sampling)  # pyright: ignore[reportArgumentType]  of one field each
    return Preset(name="test", system="Answer briefly.", context=policy, sampling=made)


async def sent(session: Session, text: str) -> tuple[Budget, PromptFit | None, GenerationFinished]:
    """The budget before, the counts in the request's own events, and its end."""
    reported = await budget_of(session.engine, session.settings.preset, session.branch, UserMessage(text))
    assert reported is not None
    trimmed, started, finished = (0, 0), None, None
    async with aclosing(session.send(UserMessage(text))) as events:
        async for event in events:
            match event:
                case ContextTrimmed(n_messages=n_messages, n_tokens=n_tokens):
                    trimmed = n_messages, n_tokens
                case GenerationStarted():
                    started = event
                case GenerationFinished():
                    finished = event
                case _:
                    pass
    assert finished is not None
    if started is None:
        return reported, None, finished
    assert finished.usage.n_prompt == started.n_prompt == reported.n_prompt
    return reported, PromptFit(started.spans, *trimmed, session.settings.preset.context == "shift"), finished


@pytest.mark.parametrize("policy", ["stop", "drop-oldest-turns", "shift"])
async def test_what_is_reported_is_what_is_sent(tmp_path: Path, smollm2: Path, policy: ContextPolicy) -> None:
    async with worker(tmp_path, smollm2, LoadOptions(n_ctx=N_CTX)) as client:
        session = Session(client, await Store.in_memory(), TurnSettings(preset=preset(policy)))
        n_started = n_trimmed = 0
        for text in DRAFTS:
            reported, was, finished = await sent(session, text)
            assert reported.refused == (was is None) == bool(finished.error)
            if was is None:
                assert finished.finish_reason is FinishReason.CONTEXT
                continue
            assert reported.fit == was
            n_started += 1
            n_trimmed += was.n_messages > 0
        if policy == "stop":
            assert n_started < len(DRAFTS)
            assert n_trimmed == 0
        else:
            assert n_started == len(DRAFTS)
            assert n_trimmed > 0


async def test_a_template_that_leaves_thinking_out_is_counted_without_it(tmp_path: Path, smollm2: Path) -> None:
    options = LoadOptions(n_ctx=N_CTX, chat_template=STRIPS_THINKING)
    async with worker(tmp_path, smollm2, options) as client:
        thinks = preset("stop", 24, grammar='root ::= "<think>one two three four</think>" "Blue."')
        session = Session(client, await Store.in_memory(), TurnSettings(preset=thinks))
        for text in DRAFTS[:2]:
            reported, was, _ = await sent(session, text)
            assert reported.fit == was
        assert session.branch[1].content == "<think>one two three four</think>Blue."
        whole = prompt_messages(session.settings.preset, session.branch)
        answer = await client.tokenize(Tokenize(client.next_request_id(), messages=whole))
        assert "think" not in "".join(token.text for token in getattr(answer, "tokens", ()))


async def test_a_message_that_is_sent_meanwhile_is_answered_and_so_is_the_question(
    tmp_path: Path, smollm2: Path
) -> None:
    async with worker(tmp_path, smollm2, LoadOptions(n_ctx=N_CTX)) as client:
        short = preset("stop")
        question = asyncio.create_task(budget_of(client, short, [], UserMessage("Name a colour. " * 4000)))
        await asyncio.sleep(0)
        request = Generate(client.next_request_id(), prompt_messages(short, []), short.sampling, prompt_ids=(1, 2, 3))
        reasons = [
            event.finish_reason async for event in client.generate(request) if isinstance(event, GenerationFinished)
        ]
        assert reasons[0] in (FinishReason.LENGTH, FinishReason.STOP)
        reported = await question
        assert reported is not None
        assert reported.refused
        assert reported.fit.spans == PromptSpans(reported.fit.spans.n_system, 0, reported.n_message)
