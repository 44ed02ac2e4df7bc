"""Two sessions on one file: each sees what the other writes and deletes, and nothing of either is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from app.domain.conversation import Message, ReplyState, UserMessage
from app.domain.errors import StoreError
from app.session.events import BranchChanged, Gone
from app.session.others import SeenState
from app.session.session import Session
from app.session.turn import TurnSettings
from app.store.store import Store
from tests.fakes.scripted_engine import ScriptedEngine
from tests.unit.session.session_helpers import PRESET, all_of, siblings

Window = tuple[Session, Store, ScriptedEngine]


class Windows:
    """Opens windows on one file; the first has answered `q` with `one`, the others have opened that."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stores: list[Store] = []

    async def open(self, *replies: str, gated: bool = False) -> Window:
        store = await Store.open(self.path)
        self.stores.append(store)
        engine = ScriptedEngine(replies, gated=gated)
        session = Session(engine, store, TurnSettings(preset=PRESET))
        if len(self.stores) == 1:
            await all_of(session.send(UserMessage("q")))
        else:
            assert await session.open_last()
        return session, store, engine


@pytest.fixture
async def windows(tmp_path: Path) -> AsyncGenerator[Windows]:
    made = Windows(tmp_path / "chat.db")
    yield made
    for store in made.stores:
        await store.close()


def contents(branch: list[Message]) -> list[str]:
    return [message.content for message in branch]


def changes(events: list[object]) -> list[BranchChanged]:
    return [event for event in events if isinstance(event, BranchChanged)]


async def test_a_look_finds_what_another_wrote_once(windows: Windows):
    first, _, _ = await windows.open("one", "two")
    second, _, _ = await windows.open()
    assert await second.look() == SeenState()
    await all_of(first.send(UserMessage("more")))
    assert (await second.look()).change == BranchChanged(n_added=2)
    assert second.branch == first.branch
    assert await second.look() == SeenState()
    assert await first.look() == SeenState()


async def test_a_message_goes_behind_what_another_wrote_since(windows: Windows):
    first, store, _ = await windows.open("one", "two")
    second, _, engine = await windows.open("three")
    await all_of(first.send(UserMessage("more")))
    events = await all_of(second.send(UserMessage("and")))
    assert changes(events) == [BranchChanged(n_added=2)]
    assert contents(second.branch) == ["q", "one", "more", "two", "and", "three"]
    assert [each.content for each in engine.requests[-1].messages][1:] == ["q", "one", "more", "two", "and"]
    assert second.conversation
    assert await store.branch(second.conversation.id) == second.branch


async def test_two_messages_at_the_same_moment_are_versions_of_each_other(
    windows: Windows, monkeypatch: pytest.MonkeyPatch
):
    first, _, _ = await windows.open("one", "two")
    second, store, _ = await windows.open("three")
    add = store.add_message

    async def late(*arguments):
        # The other window sends between this one's look and its write.
        monkeypatch.setattr(store, "add_message", add)
        await all_of(first.send(UserMessage("mine")))
        return await add(*arguments)

    monkeypatch.setattr(store, "add_message", late)
    await all_of(second.send(UserMessage("theirs")))
    assert contents(first.branch) == ["q", "one", "mine", "two"]
    assert contents(second.branch) == ["q", "one", "theirs", "three"]
    for session in (first, second):
        await session.look()
        assert contents(await siblings(session, session.branch[2])) == ["mine", "theirs"]
    await second.choose((await siblings(second, second.branch[2]))[0])
    assert contents(second.branch) == ["q", "one", "mine", "two"]


async def test_another_reply_of_another_window_is_a_version_beside_the_branch(windows: Windows):
    first, _, _ = await windows.open("one", "two")
    second, _, _ = await windows.open()
    await all_of(first.regenerate())
    assert await second.look() == SeenState(written=True)
    assert contents(second.branch) == ["q", "one"]
    assert contents(await siblings(second, second.branch[1])) == ["one", "two"]


async def test_a_reply_in_another_window_grows_and_ends_here_too(windows: Windows):
    await windows.open("one")
    first, _, engine = await windows.open("two words", gated=True)
    second, _, _ = await windows.open()
    running = asyncio.ensure_future(all_of(first.send(UserMessage("more"))))
    await engine.release(2)
    assert (await second.look()).change == BranchChanged(n_added=2)
    assert second.others_reply
    while second.branch[-1].content != "two":
        await second.look()
    engine.run_free()
    await running
    while second.others_reply:
        await second.look()
    assert second.branch == first.branch


async def test_a_title_given_in_another_window_is_taken_up(windows: Windows):
    first, store, _ = await windows.open("one")
    second, _, _ = await windows.open()
    assert first.conversation
    await store.rename(first.conversation.id, "better")
    assert (await second.look()).change == BranchChanged(renamed=True)
    assert second.conversation
    assert second.conversation.title == "better"


async def test_a_message_that_was_taken_back_elsewhere_goes_here_too(windows: Windows):
    first, store, _ = await windows.open("one", "two")
    second, _, _ = await windows.open()
    assert first.conversation
    await all_of(first.send(UserMessage("more")))
    await second.look()
    await store.withdraw(first.branch[-1].id)
    assert (await second.look()).change == BranchChanged(rewritten=True)
    assert contents(second.branch) == ["q", "one", "more"]


# Deleted


async def test_a_deletion_is_seen_and_the_next_message_undoes_it(windows: Windows):
    first, store, _ = await windows.open("one")
    second, _, _ = await windows.open("two")
    assert first.conversation
    await store.delete(first.conversation.id)
    assert (await second.look()).change == BranchChanged(gone=Gone.DELETED)
    assert await second.look() == SeenState()
    assert second.gone is Gone.DELETED
    events = await all_of(second.send(UserMessage("still here")))
    assert changes(events) == [BranchChanged(gone=Gone.DELETED)]
    assert second.gone is None
    (found,) = await store.conversations()
    assert contents(await store.branch(found.id)) == ["q", "one", "still here", "two"]


async def test_a_deletion_just_before_a_message_is_undone_too(windows: Windows):
    first, store, _ = await windows.open("one")
    second, _, _ = await windows.open("two", "three")
    assert first.conversation
    await store.delete(first.conversation.id)
    assert changes(await all_of(second.regenerate())) == [BranchChanged(gone=Gone.DELETED)]
    assert [each.id for each in await store.conversations()] == [first.conversation.id]


async def test_a_deletion_while_a_reply_is_written_is_seen_and_loses_nothing(windows: Windows):
    first, store, _ = await windows.open("one")
    second, _, engine = await windows.open("two words", "three", gated=True)
    running = asyncio.ensure_future(all_of(second.send(UserMessage("more"))))
    await engine.release(2)
    assert first.conversation
    await store.delete(first.conversation.id)
    assert (await second.look()).change == BranchChanged(gone=Gone.DELETED)
    assert await second.look() == SeenState()
    engine.run_free()
    await running
    await all_of(second.send(UserMessage("and")))
    assert contents(await store.branch(first.conversation.id)) == ["q", "one", "more", "two words", "and", "three"]
    assert len(await store.conversations()) == 1


async def test_what_is_brought_back_elsewhere_is_no_more_gone(windows: Windows):
    first, store, _ = await windows.open("one")
    second, _, _ = await windows.open()
    assert first.conversation
    await store.delete(first.conversation.id)
    await second.look()
    await store.restore(first.conversation.id)
    await second.look()
    assert second.gone is None


async def test_a_deletion_is_undone_without_a_message(windows: Windows):
    first, store, _ = await windows.open("one")
    second, _, _ = await windows.open()
    assert first.conversation
    await store.delete(first.conversation.id)
    await second.look()
    await second.bring_back()
    assert (second.gone, await store.conversations()) == (None, [second.conversation])


async def test_what_was_erased_elsewhere_is_kept_again_as_far_as_it_is_shown(windows: Windows):
    first, store, _ = await windows.open("one", "another")
    await all_of(first.regenerate())
    second, _, _ = await windows.open("two", "three")
    assert first.conversation
    await store.purge(first.conversation.id)
    assert (await second.look()).change == BranchChanged(gone=Gone.ERASED)
    events = await all_of(second.send(UserMessage("still here")))
    assert changes(events) == [BranchChanged(gone=Gone.ERASED)]
    (found,) = await store.conversations()
    assert found.id != first.conversation.id
    assert second.conversation
    assert second.conversation.id == found.id
    assert await store.branch(found.id) == second.branch
    assert contents(second.branch) == ["q", "another", "still here", "two"]
    assert second.branch[1].generation
    await all_of(second.send(UserMessage("on")))
    assert contents(await store.branch(found.id))[-2:] == ["on", "three"]


async def test_what_is_erased_while_a_reply_is_written_is_kept(windows: Windows):
    first, store, _ = await windows.open("one")
    second, _, engine = await windows.open("two words", "three", gated=True)
    running = asyncio.ensure_future(all_of(second.send(UserMessage("more"))))
    await engine.release(2)
    assert first.conversation
    await store.purge(first.conversation.id)
    engine.run_free()
    await running
    assert contents(second.branch) == ["q", "one", "more", "two words"]
    assert contents(second.unsaved) == ["two words"]
    await all_of(second.send(UserMessage("and")))
    assert second.saving
    kept = [message for each in await store.conversations() for message in await store.messages(each.id)]
    assert {"two words", "and", "three"} <= set(contents(kept))


async def test_the_reply_of_a_window_that_died_is_interrupted(windows: Windows):
    first, store, _ = await windows.open("one")
    second, _, _ = await windows.open()
    assert first.conversation
    reply = await store.add_message(
        first.conversation.id, first.branch[1].id, first.branch[1].role, "half", ReplyState.STREAMING
    )
    await second.look()
    assert second.others_reply
    await store.close()
    await second.look()
    assert second.branch[-1].id == reply.id
    assert second.branch[-1].state is ReplyState.INTERRUPTED
    assert not second.others_reply


async def test_a_store_that_cannot_be_looked_at_is_reported_once(windows: Windows, monkeypatch: pytest.MonkeyPatch):
    session, store, _ = await windows.open("one", "two")

    async def locked():
        raise StoreError("chat.db: another program is using the database", "Close it.")

    with monkeypatch.context() as patch:
        patch.setattr(store, "changed", locked)
        patch.setattr(store, "check", locked)
        assert (await session.look()).failure
        assert not session.saving
        assert await session.look() == SeenState()
        await all_of(session.send(UserMessage("kept in memory")))
        assert contents(session.unsaved) == ["kept in memory", "two"]
    assert await session.look() == SeenState(saved=True, written=True)
    assert session.saving
    assert session.unsaved == []
    assert session.conversation
    assert await store.branch(session.conversation.id) == session.branch
