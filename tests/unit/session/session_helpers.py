"""What the tests of the session share."""

from __future__ import annotations

import asyncio

import pytest

from app.domain.conversation import Message, UserMessage
from app.domain.generation import FinishReason, Timings, Usage
from app.domain.sampling import Preset, SamplingParams
from app.protocol.events import EngineLost, GenerationFinished
from app.session.events import TurnEvent
from app.session.session import Session
from app.session.turn import TurnSettings
from app.store.store import Store
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import Reply

PRESET = Preset(name="test", system="Be brief.", sampling=SamplingParams(top_k=7))

TOO_LONG = "the prompt has 9,000 tokens, the context window holds 8,192"


def session_with(store: Store | None, *replies: Reply | str, gated: bool = False) -> tuple[Session, ScriptedEngine]:
    engine = ScriptedEngine(replies, gated=gated)
    return Session(engine, store, TurnSettings(preset=PRESET, trace_top_k=3)), engine


async def with_reply(store: Store | None, *later: Reply | str, **options) -> tuple[Session, ScriptedEngine, Message]:
    session, engine = session_with(store, "one two three", *later, **options)
    if options:
        engine.permit(9)
    await all_of(session.send(UserMessage("q")))
    return session, engine, session.branch[-1]


async def all_of(events) -> list[TurnEvent]:
    return [event async for event in events]


def kinds(events: list[TurnEvent]) -> list[str]:
    return [type(event).__name__ for event in events]


def slow(store: Store, name: str, patch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """Makes a method of the store wait; returns the events `it was called` and `it may go on`."""
    called, go_on = asyncio.Event(), asyncio.Event()
    method = getattr(store, name)

    async def waiting(*arguments):
        called.set()
        await go_on.wait()
        return await method(*arguments)

    patch.setattr(store, name, waiting)
    return called, go_on


async def stored_branch(store: Store, session: Session) -> list[Message]:
    assert session.conversation
    return await store.branch(session.conversation.id)


async def siblings(session: Session, message: Message) -> list[Message]:
    """The versions of one message."""
    return (await session.versions([message]))[message.id]


def refuse(
    engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch, reason: FinishReason | None = FinishReason.CONTEXT
) -> None:
    """The engine refuses every request before it starts; without a reason it is lost."""

    async def refusing(command):
        engine.requests.append(command)
        if reason is None:
            yield EngineLost(None, "killed")
        else:
            yield GenerationFinished(command.request_id, reason, Usage(), Timings(), error=TOO_LONG)

    monkeypatch.setattr(engine, "generate", refusing)
