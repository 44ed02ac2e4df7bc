"""A store that fails: the chat continues in memory with one notice, and what was missed is stored later."""

from __future__ import annotations

import pytest

from app.domain.conversation import ReplyState, UserMessage
from app.domain.errors import StoreError
from app.domain.sampling import Preset
from app.session.events import StoreFailed
from app.session.session import Session
from app.session.turn import TurnSettings
from app.store.store import Store
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.stored import children
from tests.unit.session.session_helpers import all_of

WRITES = ("start_conversation", "create_conversation", "add_message", "journal_reply", "finish_reply")
FAILED = StoreFailed("chat.db: the disk is full", "Free some space.")


class Fault:
    """Makes the store's writes fail from the `after`-th on, while it is on."""

    def __init__(self, store: Store, patch: pytest.MonkeyPatch) -> None:
        self.after: int | None = None
        self.n_calls = 0
        for name in WRITES:
            patch.setattr(store, name, self._wrap(getattr(store, name)))

    def _wrap(self, write):
        async def guarded(*arguments, **options):
            if self.after is not None and self.n_calls >= self.after:
                raise StoreError(FAILED.message, FAILED.hint)
            self.n_calls += 1
            return await write(*arguments, **options)

        return guarded


@pytest.fixture
def fault(store: Store, monkeypatch: pytest.MonkeyPatch) -> Fault:
    return Fault(store, monkeypatch)


def new_session(store: Store, *replies: str) -> Session:
    return Session(ScriptedEngine(replies), store, TurnSettings(preset=Preset(name="p")))


@pytest.mark.parametrize("after", [0, 1, 2, 3])
async def test_at_whatever_write_it_fails_the_turn_is_whole_and_one_notice_comes(
    store: Store, fault: Fault, after: int
):
    session = new_session(store, "one two", "three")
    fault.after = after
    events = await all_of(session.send(UserMessage("a"))) + await all_of(session.send(UserMessage("b")))
    assert [e for e in events if isinstance(e, StoreFailed)] == [FAILED]
    assert [(m.content, m.state) for m in session.branch] == [
        ("a", ReplyState.DONE),
        ("one two", ReplyState.DONE),
        ("b", ReplyState.DONE),
        ("three", ReplyState.DONE),
    ]
    assert not session.saving


@pytest.mark.parametrize("after", [0, 1, 2, 3])
async def test_what_was_missed_is_stored_once_it_works_again(store: Store, fault: Fault, after: int):
    session = new_session(store, "one", "another", "two", "three")
    fault.after = after
    await all_of(session.send(UserMessage("a")))
    await all_of(session.regenerate())
    await all_of(session.send(UserMessage("b")))
    assert not session.saving
    fault.after = None
    events = await all_of(session.send(UserMessage("c")))
    assert session.saving
    assert not any(isinstance(e, StoreFailed) for e in events)
    (conversation,) = await store.conversations()
    stored = await store.branch(conversation.id)
    assert stored == session.branch
    assert [m.content for m in stored] == ["a", "another", "b", "two", "c", "three"]
    assert all(m.generation for m in stored[1::2])
    siblings = await children(store, conversation.id, stored[0].id)
    assert [m.content for m in siblings] == ["one", "another"]
    assert session.conversation
    assert session.conversation.id == conversation.id
    assert await store.conversations("one") == [conversation]


async def test_catching_up_that_breaks_off_stores_nothing_twice(store: Store, fault: Fault):
    session = new_session(store, "one", "two", "three")
    fault.after = 0
    await all_of(session.send(UserMessage("a")))
    fault.n_calls, fault.after = 0, 3
    await all_of(session.send(UserMessage("b")))
    assert not session.saving
    fault.after = None
    await all_of(session.send(UserMessage("c")))
    (conversation,) = await store.conversations()
    assert await store.branch(conversation.id) == session.branch
    assert [m.content for m in session.branch] == ["a", "one", "b", "two", "c", "three"]
    assert conversation.n_messages == 6


async def test_a_conversation_left_while_nothing_could_be_saved_is_stored_too(store: Store, fault: Fault):
    session = new_session(store, "one", "two")
    fault.after = 0
    await all_of(session.send(UserMessage("a")))
    session.new()
    fault.after = None
    await all_of(session.send(UserMessage("b")))
    assert [c.title for c in await store.conversations()] == ["b", "a"]
    assert [c.n_messages for c in await store.conversations()] == [2, 2]


async def test_a_second_failure_is_reported_and_recovered_from_like_the_first(store: Store, fault: Fault):
    session = new_session(store)
    for text in "ac":
        fault.n_calls, fault.after = 0, 0
        assert FAILED in await all_of(session.send(UserMessage(text)))
        assert not session.saving
        fault.after = None
        assert FAILED not in await all_of(session.send(UserMessage(text + text)))
        assert session.saving
    (conversation,) = await store.conversations()
    assert [m.content for m in await store.branch(conversation.id)][::2] == ["a", "aa", "c", "cc"]


async def test_a_conversation_that_cannot_be_read_leaves_everything_as_it_is(store: Store):
    session = new_session(store, "one")
    await all_of(session.send(UserMessage("a")))
    before = (session.conversation, list(session.branch))
    with pytest.raises(StoreError):
        await session.open(99)
    assert (session.conversation, session.branch) == before


async def test_what_was_caught_up_but_deleted_elsewhere_does_not_stop_the_chat(store: Store, fault: Fault, monkeypatch):
    session = new_session(store, "one", "two")
    fault.after = 0
    await all_of(session.send(UserMessage("a")))
    fault.after = None

    async def gone(conversation_id: int):
        raise StoreError(f"there is no conversation {conversation_id}")

    monkeypatch.setattr(store, "conversation", gone)
    await all_of(session.send(UserMessage("b")))
    assert [m.content for m in session.branch] == ["a", "one", "b", "two"]
