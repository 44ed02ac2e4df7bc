"""What answers a conversation is kept with it from its first message on; what the chat continues is a chat."""

from __future__ import annotations

from msgspec.structs import replace

from app.domain.conversation import ChatSettings, ConversationKind, UserMessage
from app.domain.errors import StoreError
from app.domain.sampling import Preset
from app.store.store import Store
from tests.unit.session.session_helpers import PRESET, all_of, session_with

OWN = ChatSettings(model="m", preset=replace(PRESET, name="own"), system="Pirate.")
ASK, CHAT = ConversationKind.ASK, ConversationKind.CHAT


async def kept(store: Store) -> list[tuple[ConversationKind, ChatSettings | None]]:
    return [(each.kind, each.settings) for each in await store.conversations()]


async def test_a_new_conversation_keeps_what_is_used(store: Store):
    session, engine = session_with(store)
    session.use(OWN)
    await all_of(session.send(UserMessage("q")))
    assert await kept(store) == [(CHAT, OWN)]
    assert session.conversation
    assert session.conversation.settings == OWN
    assert engine.requests[0].messages[0].content == "Pirate."


async def test_without_settings_it_keeps_the_preset_and_the_name_of_the_model(store: Store):
    session, _ = session_with(store)
    session.settings = replace(session.settings, model_name="mine")
    await all_of(session.send(UserMessage("q")))
    assert await kept(store) == [(CHAT, ChatSettings(model="mine", preset=PRESET))]


async def test_what_is_chosen_is_kept_at_once(store: Store):
    session, _ = session_with(store)
    await all_of(session.send(UserMessage("q")))
    await session.keep(OWN)
    assert await kept(store) == [(CHAT, OWN)]
    assert session.conversation
    assert session.conversation.settings == OWN


async def test_before_the_first_message_it_is_kept_with_that(store: Store):
    session, _ = session_with(store)
    await session.keep(OWN)
    assert await kept(store) == []
    await all_of(session.send(UserMessage("q")))
    assert await kept(store) == [(CHAT, OWN)]


async def test_what_is_used_for_want_of_another_is_not_kept(store: Store):
    session, _ = session_with(store)
    session.use(OWN)
    await all_of(session.send(UserMessage("q")))
    session.use(replace(OWN, model="another"))
    session.settings = replace(session.settings, preset=Preset(name="for this turn"))
    await all_of(session.send(UserMessage("again")))
    assert await kept(store) == [(CHAT, OWN)]


async def test_a_conversation_that_never_kept_any_keeps_them_with_its_next_turn(store: Store):
    conversation, _ = await store.start_conversation("old", UserMessage("q"))
    session, _ = session_with(store)
    session.use(OWN)
    await session.open(conversation.id)
    await all_of(session.regenerate())
    assert await kept(store) == [(CHAT, OWN)]


async def test_the_chat_makes_a_chat_of_a_question_and_asking_makes_none_of_a_chat(store: Store):
    asking, _ = session_with(store)
    asking.kind = ASK
    await all_of(asking.send(UserMessage("q")))
    assert [kind for kind, _ in await kept(store)] == [ASK]
    await all_of(asking.send(UserMessage("more")))
    assert [kind for kind, _ in await kept(store)] == [ASK]
    chatting, _ = session_with(store)
    assert not await chatting.open_last()
    assert asking.conversation
    await chatting.open(asking.conversation.id)
    await all_of(chatting.regenerate())
    assert [kind for kind, _ in await kept(store)] == [CHAT]
    await all_of(asking.send(UserMessage("still")))
    assert [kind for kind, _ in await kept(store)] == [CHAT]
    assert await chatting.open_last()


async def test_what_could_not_be_stored_is_stored_with_its_settings_later(store: Store, monkeypatch):
    session, _ = session_with(store)
    session.use(OWN)
    with monkeypatch.context() as patch:

        async def failing(*_arguments):
            raise StoreError("the disk is full")

        patch.setattr(store, "start_conversation", failing)
        await all_of(session.send(UserMessage("q")))
        chosen = replace(OWN, system="Other.")
        await session.keep(chosen)
    assert await kept(store) == []
    await all_of(session.send(UserMessage("again")))
    assert await kept(store) == [(CHAT, chosen)]
