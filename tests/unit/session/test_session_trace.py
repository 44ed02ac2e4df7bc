"""The trace of a reply: reported while it streams, stored when it ends, however it ends."""

from __future__ import annotations

from contextlib import aclosing

import pytest
from msgspec.structs import replace

from app.config.settings import TraceSettings
from app.domain.conversation import ReplyState, UserMessage
from app.domain.errors import StoreError
from app.domain.generation import CellSpan, DraftCounts
from app.domain.trace import ReplyTrace, text_before
from app.protocol.events import GenerationStarted, TokensGenerated
from app.session.events import ReplyFinished, StoreFailed
from app.session.session import Session
from app.session.turn import TurnSettings
from app.store.store import Store
from tests.fakes.engine_events import make_eog, make_prompt, make_token
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import Reply, reply
from tests.unit.session.session_helpers import PRESET, all_of, session_with, stored_branch

CELLS = (CellSpan("prompt", 20, "computed", 17.0), CellSpan("reply", 3, "computed"), CellSpan("free", 8169))


def texts(trace: ReplyTrace | None) -> list[str]:
    assert trace is not None
    return [token.text for token in trace.tokens]


def session_keeping(store: Store | None, traces: TraceSettings, *replies: Reply | str) -> Session:
    return Session(ScriptedEngine(replies), store, TurnSettings(preset=PRESET, trace_top_k=3), traces=traces)


async def test_a_trace_has_all_that_the_events_reported():
    drafting = DraftCounts(1, 2, 1, (1, 1), (1, 0))
    session, _ = session_with(None, reply("Soft rain", n_cached=3, cells=CELLS, drafting=drafting))
    session.settings = replace(session.settings, include_prompt=True)
    await all_of(session.send(UserMessage("q")))
    trace = session.trace(session.branch[-1].id)
    assert trace == ReplyTrace(
        tokens=(
            make_token("Soft", 0, ms=27.0, rank=1, n_top=3),
            make_token(" rain", 1, rank=1, n_top=3),
            make_eog(n_top=3),
        ),
        prompt=make_prompt(20),
        n_cached=3,
        sampling=PRESET.sampling,
        seed=42,
        cells=CELLS,
        drafting=drafting,
    )
    assert [text_before("Soft rain", trace, n) for n in range(4)] == ["", "Soft", "Soft rain", "Soft rain"]


async def test_it_grows_with_the_reply_and_a_snapshot_stays_as_it_was(store: Store):
    session, engine = session_with(store, "one two three", gated=True)
    async with aclosing(session.send(UserMessage("q"))) as events:
        engine.permit(9)
        seen: list[ReplyTrace | None] = []
        async for event in events:
            if isinstance(event, GenerationStarted | TokensGenerated):
                message_id = session.branch[-1].id
                seen.append(session.trace(message_id))
                assert session.trace(message_id) is seen[-1]
                assert await session.load_trace(message_id) is seen[-1]
    assert [texts(trace) for trace in seen] == [
        [],
        ["one"],
        ["one", " two"],
        ["one", " two", " three"],
        ["one", " two", " three", "<|im_end|>"],
    ]


async def test_only_the_last_turns_are_reported_at_once_and_the_older_ones_from_the_store(store: Store):
    session, _ = session_with(store, "one", "two")
    await all_of(session.send(UserMessage("a")))
    first = session.branch[-1].id
    live = session.trace(first)
    await all_of(session.send(UserMessage("b")))
    assert session.trace(first) is None
    assert texts(session.trace(session.branch[-1].id)) == ["two", "<|im_end|>"]
    kept = await session.load_trace(first)
    assert texts(kept) == texts(live) == ["one", "<|im_end|>"]
    assert kept is not live
    assert await session.load_trace(session.branch[0].id) is None


@pytest.mark.parametrize("ending", ["stopped", "left", "lost"])
async def test_an_unfinished_reply_keeps_what_came(store: Store, ending: str):
    session, engine = session_with(
        store, reply("one two three", dies_after=1 if ending == "lost" else None), gated=True
    )
    engine.permit(2)
    events = session.send(UserMessage("q"))
    async for event in events:
        if isinstance(event, TokensGenerated):
            break
    if ending == "stopped":
        session.stop()
    if ending == "left":
        await events.aclose()
    else:
        await all_of(events)
    (_, done) = await stored_branch(store, session)
    assert (done.content, done.state is ReplyState.INTERRUPTED) == ("one", ending == "lost")
    assert texts(await store.trace(done.id)) == ["one"]


async def test_a_reply_without_tokens_keeps_no_trace(store: Store):
    session, _ = session_with(store, reply("", stop=None))
    await all_of(session.send(UserMessage("q")))
    assert await store.trace(session.branch[-1].id) is None


async def test_the_settings_keep_none(store: Store):
    session = session_keeping(store, TraceSettings(keep=False), "one")
    await all_of(session.send(UserMessage("q")))
    assert texts(session.trace(session.branch[-1].id)) == ["one", "<|im_end|>"]
    assert await store.trace(session.branch[-1].id) is None


async def test_the_oldest_make_room(store: Store, monkeypatch: pytest.MonkeyPatch):
    session = session_keeping(store, TraceSettings(), "one", "two", "three")
    await all_of(session.send(UserMessage("a")))
    size = await store.trace_bytes(session.branch[0].conversation_id)
    monkeypatch.setattr(TraceSettings, "max_bytes", 5 * size // 2)
    await all_of(session.send(UserMessage("b")))
    await all_of(session.send(UserMessage("c")))
    assert [bool(await store.trace(message.id)) for message in session.branch[1::2]] == [False, True, True]


async def test_without_a_store_traces_are_kept_in_memory():
    session, _ = session_with(None, "one", "two")
    await all_of(session.send(UserMessage("a")))
    await all_of(session.send(UserMessage("b")))
    assert texts(await session.load_trace(session.branch[1].id)) == ["one", "<|im_end|>"]
    assert await session.load_trace(-99) is None


async def test_what_the_store_misses_is_stored_later(store: Store, monkeypatch: pytest.MonkeyPatch):
    session, _ = session_with(store, "one", "two")

    async def full(*_: object):
        raise StoreError("chat.db: the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(store, "start_conversation", full)
        await all_of(session.send(UserMessage("a")))
    assert texts(await session.load_trace(session.branch[1].id)) == ["one", "<|im_end|>"]
    await all_of(session.send(UserMessage("b")))
    assert [message.id > 0 for message in session.branch] == [True] * 4
    assert [texts(await store.trace(message.id)) for message in session.branch[1::2]] == [
        ["one", "<|im_end|>"],
        ["two", "<|im_end|>"],
    ]


async def test_a_trace_that_cannot_be_saved_or_read_is_reported_and_nothing_else_is_lost(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    session, _ = session_with(store, "one", "two")

    async def full(*_: object):
        raise StoreError("chat.db: the disk is full", "Free some space.")

    with monkeypatch.context() as patch:
        patch.setattr(store, "save_trace", full)
        events = await all_of(session.send(UserMessage("a")))
        assert [event for event in events if isinstance(event, StoreFailed)] == [
            StoreFailed("chat.db: the disk is full", "Free some space.")
        ]
        assert isinstance(events[-2], ReplyFinished)
        patch.setattr(store, "trace", full)
        with pytest.raises(StoreError, match="the disk is full"):
            await session.load_trace(-1)
    await all_of(session.send(UserMessage("b")))
    assert [message.content for message in await stored_branch(store, session)] == ["a", "one", "b", "two"]
    assert session.saving
