"""Which messages belong together, and the ways to another branch."""

from __future__ import annotations

import asyncio

import pytest

from app.domain.conversation import Message, ReplyState, Role, UserMessage
from app.domain.errors import StoreError
from app.session.events import StoreFailed
from app.session.tree import branch_through, oldest_first
from app.store.store import Store
from tests.unit.session.session_helpers import all_of, session_with, siblings, slow, stored_branch


def message(message_id: int, parent_id: int | None, content: str = "") -> Message:
    return Message(id=message_id, conversation_id=1, parent_id=parent_id, role=Role.USER, content=content, created_ms=0)


#    1 - 2 - 4 - 5
#      \ 3 - 6 - -1      9, a root of its own
#              \ -2
TREE = [message(each, parent) for each, parent in [(1, None), (2, 1), (3, 1), (4, 2), (5, 4), (6, 3), (-1, 6), (-2, 6)]]
TREE.append(message(9, None))


@pytest.mark.parametrize(
    ("through", "branch"),
    [
        (1, [1, 3, 6, -2]),
        (2, [1, 2, 4, 5]),
        (4, [1, 2, 4, 5]),
        (3, [1, 3, 6, -2]),
        (-1, [1, 3, 6, -1]),
        (9, [9]),
        (7, []),
    ],
)
def test_a_branch_leads_through_a_message_to_its_newest_leaf(through: int, branch: list[int]):
    assert [each.id for each in branch_through(reversed(TREE), through)] == branch


def test_what_is_only_in_memory_is_younger_than_what_is_stored():
    assert [each.id for each in oldest_first(TREE)] == [1, 2, 3, 4, 5, 6, 9, -1, -2]


async def test_a_chosen_branch_is_shown_and_remembered(store: Store):
    session, engine = session_with(store, "one", "two", "three", "four")
    await all_of(session.send(UserMessage("q")))
    first = session.branch[-1]
    await all_of(session.send(UserMessage("on")))
    old = list(session.branch)
    await session.choose(old[0])
    assert session.branch == old
    await all_of(session.fork(first, 0))
    assert [each.content for each in session.branch] == ["q", "three"]
    second = session.branch[-1]
    assert await siblings(session, first) == await siblings(session, second) == [first, second]
    assert await siblings(session, old[0]) == [old[0]]
    await session.choose(first)
    assert session.branch == old == await stored_branch(store, session)
    other, _ = session_with(store)
    await other.open_last()
    assert other.branch == old
    await all_of(session.send(UserMessage("go on")))
    assert [each.content for each in session.branch] == ["q", "one", "on", "two", "go on", "four"]
    assert [each.content for each in engine.requests[-1].messages][1:] == ["q", "one", "on", "two", "go on"]


async def test_a_branch_that_cannot_be_read_leaves_everything_as_it_is(store: Store, monkeypatch: pytest.MonkeyPatch):
    session, _ = session_with(store, "one", "two")
    await all_of(session.send(UserMessage("q")))
    first = session.branch[-1]
    await all_of(session.regenerate())
    before = list(session.branch)

    async def broken(*_: object):
        raise StoreError("chat.db: the database is damaged")

    with monkeypatch.context() as patch:
        patch.setattr(store, "messages", broken)
        with pytest.raises(StoreError):
            await session.choose(first)
        with pytest.raises(StoreError):
            await siblings(session, before[-1])
    assert (session.branch, session.busy) == (before, False)
    with pytest.raises(StoreError, match="no message 99"):
        await session.choose(message(99, None))


async def test_a_conversation_that_was_left_is_not_shown_again_by_a_choice(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    session, engine = session_with(store, "one", "two", "other")
    await all_of(session.send(UserMessage("q")))
    first = session.branch[-1]
    await all_of(session.regenerate())
    left = session.conversation
    called, go_on = slow(store, "messages", monkeypatch)
    choosing = asyncio.ensure_future(session.choose(first))
    await called.wait()
    session.new()
    go_on.set()
    await choosing
    assert (session.conversation, session.branch) == (None, [])
    assert [each.content for each in await store.branch(left.id)] == ["q", "two"]
    # A fork needs its branch shown first, which is refused likewise.
    assert await all_of(session.fork(first, 0)) == []
    await all_of(session.send(UserMessage("else")))
    assert [each.content for each in session.branch] == ["else", "other"]
    assert len(engine.requests) == 3


@pytest.mark.parametrize("saved", [True, False])
async def test_the_versions_of_a_branch_are_found_by_one_read(
    store: Store, monkeypatch: pytest.MonkeyPatch, saved: bool
):
    session, _ = session_with(store if saved else None, "one", "two", "three", "four")
    await all_of(session.send(UserMessage("q")))
    await all_of(session.regenerate())
    await all_of(session.send(UserMessage("on")))
    await all_of(session.regenerate())
    n_reads, read = 0, store._thread.read

    async def counted(work):
        nonlocal n_reads
        n_reads += 1
        return await read(work)

    monkeypatch.setattr(store._thread, "read", counted)
    found = await session.versions(session.branch)
    assert n_reads == saved
    assert [[each.content for each in found[shown.id]] for shown in session.branch] == [
        ["q"],
        ["one", "two"],
        ["on"],
        ["three", "four"],
    ]
    assert await session.versions([]) == {}


async def test_a_choice_that_cannot_be_saved_holds_and_is_saved_later(store: Store, monkeypatch: pytest.MonkeyPatch):
    session, _ = session_with(store, "one", "two", "three")
    await all_of(session.send(UserMessage("q")))
    first = session.branch[-1]
    await all_of(session.regenerate())

    async def full(*_: object):
        raise StoreError("chat.db: the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(store, "set_tip", full)
        await session.choose(first)
    assert [each.content for each in session.branch] == ["q", "one"]
    assert not session.saving
    events = await all_of(session.send(UserMessage("on")))
    assert not any(isinstance(event, StoreFailed) for event in events)  # all is saved before anything was reported
    assert [each.content for each in await stored_branch(store, session)] == ["q", "one", "on", "three"]


async def test_siblings_made_while_nothing_could_be_saved_stand_after_the_others(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    session, _ = session_with(store, "one", "two", "three")
    await all_of(session.send(UserMessage("q")))
    first = session.branch[-1]

    async def full(*_: object):
        raise StoreError("chat.db: the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(store, "add_message", full)
        await all_of(session.regenerate())
    second = session.branch[-1]
    assert second.id < 0
    assert await siblings(session, first) == await siblings(session, second) == [first, second]
    await session.choose(first)
    await session.choose(second)
    assert [each.content for each in session.branch] == ["q", "two"]
    await all_of(session.fork(second, 1))
    assert [each.content for each in session.branch] == ["q", "twothree"]
    versions = await siblings(session, session.branch[-1])
    assert [(each.content, each.id > 0, each.state) for each in versions] == [
        ("one", True, ReplyState.DONE),
        ("two", True, ReplyState.DONE),
        ("twothree", True, ReplyState.DONE),
    ]
    assert (await siblings(session, second))[1] == second
