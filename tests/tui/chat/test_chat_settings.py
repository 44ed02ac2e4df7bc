"""A conversation is answered with what it keeps: model, preset and system prompt; what cannot be had is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from app.config.catalogue import Catalogue
from app.config.presets import SHIPPED_PRESETS
from app.domain.conversation import ChatSettings, Conversation, ConversationKind, Role, UserMessage
from app.domain.model import ModelSpec
from app.domain.sampling import Preset, SamplingParams
from app.protocol.events import LoadFailed
from app.store.store import Store
from app.tui.app import TokscopeApp
from app.tui.chat.screen import ChatScreen
from app.tui.common.options import ChatOptions
from app.tui.common.preferences import Preferences
from tests.fakes.chat_app import answered, bar, drawn, make_app, ready, reported, until
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import Load
from tests.fakes.tiny_gguf import write_tiny_gguf

PRECISE, CREATIVE = SHIPPED_PRESETS["precise"], SHIPPED_PRESETS["creative"]
PIRATE = ChatSettings(model="other", preset=CREATIVE, system="You are a pirate.")


def two_models(folder: Path) -> Catalogue:
    models = {
        name: ModelSpec(name=name, title=name.title(), source=str(write_tiny_gguf(folder / f"{name}.gguf")))
        for name in ("tiny", "other")
    }
    return Catalogue(models=models, default="tiny", problems=[])


async def kept(settings: ChatSettings | None, kind: ConversationKind = ConversationKind.CHAT) -> Store:
    """A store with one conversation of two messages."""
    store = await Store.in_memory()
    conversation, asked = await store.start_conversation("old", UserMessage("q"), kind, settings)
    await store.add_message(conversation.id, asked.id, Role.ASSISTANT, "a")
    return store


def app_with(folder: Path, store: Store, engine: ScriptedEngine | None = None, **more: Any) -> TokscopeApp:
    return make_app(folder, engine or ScriptedEngine(), store=store, catalogue=two_models(folder), **more)


async def opened(chat: ChatScreen, store: Store) -> Conversation:
    """The stored conversation on the screen."""
    (found,) = await store.conversations()
    await chat.conversations.open(found.id)
    return found


def uses(chat: ChatScreen, engine: ScriptedEngine) -> tuple[str, str | None, str]:
    """Preset, system prompt and model of the next turn."""
    preset = chat.chat.session.settings.preset
    path = engine.model.path if engine.model else ""
    return preset.name, preset.system, Path(path).stem


async def settled(chat: ChatScreen, title: str) -> None:
    await until(lambda: chat.loader.ready and chat.loader.status.title == title)


async def test_what_is_opened_is_answered_as_before_and_the_header_shows_it(tmp_path: Path) -> None:
    store, engine = await kept(PIRATE), ScriptedEngine(["arr"])
    app = app_with(tmp_path, store, engine)
    async with app.run_test(size=(120, 36)):
        chat = await ready(app)
        assert uses(chat, engine)[0] == "balanced"
        await opened(chat, store)
        await settled(chat, "Other")
        assert uses(chat, engine) == ("creative", "You are a pirate.", "other")
        assert bar(chat, "header").startswith("Other · Q4_1 · creative · old")
        chat.chat.submit(UserMessage("go on"))
        await answered(chat, 4)
        request = engine.requests[0]
        assert (request.messages[0].content, request.sampling) == ("You are a pirate.", CREATIVE.sampling)
        record = chat.chat.session.branch[-1].generation
        assert record
        assert (record.model, record.preset) == ("other", "creative")
        assert reported(app) == []


async def test_the_same_model_is_not_loaded_again(tmp_path: Path) -> None:
    store, engine = await kept(replace(PIRATE, model="tiny")), ScriptedEngine()
    app = app_with(tmp_path, store, engine)
    async with app.run_test(size=(120, 36)):
        chat = await ready(app)
        await opened(chat, store)
        assert (uses(chat, engine)[0], len(engine.loads)) == ("creative", 1)


async def test_continuing_loads_its_model_first_and_no_other(tmp_path: Path) -> None:
    store, engine = await kept(PIRATE), ScriptedEngine(loaded=False)
    app = app_with(tmp_path, store, engine, options=ChatOptions(continue_last=True))
    async with app.run_test(size=(120, 36)):
        chat = await ready(app)
        assert uses(chat, engine) == ("creative", "You are a pirate.", "other")
        assert [Path(load.path).stem for load in engine.loads] == ["other"]


async def test_options_of_the_command_line_win_and_are_kept(tmp_path: Path) -> None:
    store, engine = await kept(PIRATE), ScriptedEngine(loaded=False)
    options = ChatOptions(continue_last=True, model="tiny", preset="precise", system="")
    app = app_with(tmp_path, store, engine, options=options)
    async with app.run_test(size=(120, 36)):
        chat = await ready(app)
        assert uses(chat, engine) == ("precise", None, "tiny")
        await until(lambda: chat.chat.session.settings.kept.model == "tiny")
        expected = ChatSettings(model="tiny", preset=PRECISE, system="")
        await until(lambda: chat.chat.session.conversation and chat.chat.session.conversation.settings == expected)
        assert [each.settings for each in await store.conversations()] == [expected]


async def test_a_model_that_is_gone_is_replaced_and_that_is_said_and_not_kept(tmp_path: Path) -> None:
    store, engine = await kept(replace(PIRATE, model="/gone/big.gguf")), ScriptedEngine(["r"])
    app = app_with(tmp_path, store, engine)
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        await opened(chat, store)
        remark = "This conversation's model /gone/big.gguf is not available (there is no file /gone/big.gguf): "
        await until(lambda: f"{remark}Tiny is used instead." in drawn(chat))
        chat.chat.submit(UserMessage("go on"))
        await answered(chat, 4)
        assert uses(chat, engine) == ("creative", "You are a pirate.", "tiny")
        assert [each.settings.model for each in await store.conversations() if each.settings] == ["/gone/big.gguf"]
        await pilot.press("ctrl+o")
        await until(lambda: len(app.screen_stack) > 2)
        await pilot.press("enter")
        await until(lambda: app.screen is chat)
        await until(lambda: chat.chat.session.settings.kept.model == "tiny")
        assert [each.settings.model for each in await store.conversations() if each.settings] == ["tiny"]
        assert len(engine.loads) == 1


async def test_continuing_with_a_model_that_is_gone_loads_the_usual_one(tmp_path: Path) -> None:
    store, engine = await kept(replace(PIRATE, model="/gone/big.gguf")), ScriptedEngine(loaded=False)
    app = app_with(tmp_path, store, engine, options=ChatOptions(continue_last=True))
    async with app.run_test(size=(120, 36)):
        chat = await ready(app)
        assert uses(chat, engine) == ("creative", "You are a pirate.", "tiny")
        remark = "This conversation's model /gone/big.gguf is not available (there is no file /gone/big.gguf): "
        await until(lambda: f"{remark}Tiny is used instead." in drawn(chat))
        assert [each.settings for each in await store.conversations()] == [replace(PIRATE, model="/gone/big.gguf")]


async def test_a_model_that_cannot_be_loaded_gives_way_to_the_one_before(tmp_path: Path) -> None:
    loads = [Load(), Load(outcome=LoadFailed("not enough memory"))]
    store, engine = await kept(PIRATE), ScriptedEngine(loads=loads)
    app = app_with(tmp_path, store, engine)
    async with app.run_test(size=(120, 36)):
        chat = await ready(app)
        await opened(chat, store)
        await until(lambda: len(engine.loads) == 3)
        await settled(chat, "Tiny")
        remark = "This conversation's model other is not available (not enough memory): Tiny is used instead."
        await until(lambda: remark in drawn(chat))
        assert [each.settings for each in await store.conversations()] == [PIRATE]


async def test_a_preset_that_was_edited_is_used_as_it_was_until_it_is_chosen(tmp_path: Path) -> None:
    before = Preset(name="mine", system="Old.", sampling=SamplingParams(temperature=0.1))
    now = replace(before, system="New.")
    store, engine = await kept(ChatSettings(model="tiny", preset=before)), ScriptedEngine()
    app = app_with(tmp_path, store, engine, presets={"mine": now})
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        await opened(chat, store)
        remark = "The preset “mine” was changed. This conversation keeps the old values."
        await until(lambda: remark in drawn(chat))
        assert chat.chat.session.settings.preset == before
        await pilot.press("ctrl+s")
        await until(lambda: len(app.screen_stack) > 2)
        await pilot.press("enter")
        await until(lambda: chat.chat.session.settings.preset == now)
        await until(lambda: app.screen is chat)
        assert [each.settings for each in await store.conversations()] == [ChatSettings(model="tiny", preset=now)]


async def test_a_preset_is_kept_as_it_is_chosen_and_an_own_system_prompt_stays(tmp_path: Path) -> None:
    store, engine = await kept(PIRATE), ScriptedEngine()
    app = app_with(tmp_path, store, engine)
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        await opened(chat, store)
        await settled(chat, "Other")
        await pilot.press("ctrl+s")
        await until(lambda: len(app.screen_stack) > 2)
        await pilot.press(*"precise", "enter")
        await until(lambda: reported(app) == ["This conversation keeps its own system prompt."])
        assert uses(chat, engine) == ("precise", "You are a pirate.", "other")
        assert [each.settings for each in await store.conversations()] == [replace(PIRATE, preset=PRECISE)]


@pytest.mark.parametrize("system", [None, "Be kind."])
async def test_a_new_conversation_has_the_preset_and_the_model_of_now_and_no_ones_system_prompt(
    tmp_path: Path, system: str | None
) -> None:
    old = replace(PIRATE, preset=replace(CREATIVE, system="Edited since."))
    store, engine = await kept(old), ScriptedEngine()
    app = app_with(tmp_path, store, engine, options=ChatOptions(system=system))
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        await opened(chat, store)
        await settled(chat, "Other")
        await pilot.press("ctrl+n")
        await until(lambda: chat.chat.session.conversation is None)
        chat.chat.submit(UserMessage("hi"))
        await answered(chat)
        newest, _ = await store.conversations()
        assert newest.settings == ChatSettings(model="other", preset=CREATIVE, system=system)
        assert engine.requests[0].messages[0].content == (CREATIVE.system if system is None else system)


async def test_a_first_conversation_keeps_the_model_that_was_loaded(tmp_path: Path) -> None:
    store = await Store.in_memory()
    app = app_with(tmp_path, store, options=ChatOptions(preset="balanced"))
    async with app.run_test(size=(120, 36)):
        chat = await ready(app)
        chat.chat.submit(UserMessage("hi"))
        await answered(chat)
        (conversation,) = await store.conversations()
        assert conversation.settings == ChatSettings(model="tiny", preset=SHIPPED_PRESETS["balanced"])


async def test_another_version_and_a_fork_are_answered_with_what_it_keeps(tmp_path: Path) -> None:
    store, engine = await kept(replace(PIRATE, model="tiny")), ScriptedEngine()
    app = app_with(tmp_path, store, engine)
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        await opened(chat, store)
        await pilot.press("ctrl+r")
        await until(lambda: engine.requests and not chat.chat.running)
        assert engine.requests[0].messages[0].content == "You are a pirate."
        assert engine.requests[0].sampling == CREATIVE.sampling


async def test_continuing_opens_the_last_chat_and_no_question(tmp_path: Path) -> None:
    store = await kept(replace(PIRATE, model="tiny"))
    await store.start_conversation("asked", UserMessage("x"), ConversationKind.ASK)
    app = app_with(tmp_path, store, options=ChatOptions(continue_last=True))
    async with app.run_test(size=(120, 36)):
        chat = await ready(app)
        await until(lambda: chat.chat.session.conversation)
        assert chat.chat.session.conversation
        assert chat.chat.session.conversation.title == "old"


async def test_without_a_chat_to_continue_the_usual_model_is_loaded(tmp_path: Path) -> None:
    store, engine = await kept(None, ConversationKind.ASK), ScriptedEngine(loaded=False)
    app = app_with(tmp_path, store, engine, options=ChatOptions(continue_last=True))
    async with app.run_test(size=(120, 36)):
        chat = await ready(app)
        assert (uses(chat, engine)[2], chat.chat.session.conversation) == ("tiny", None)


async def test_a_model_and_a_preset_that_were_chosen_are_remembered(tmp_path: Path) -> None:
    memory = Preferences(tmp_path / "remembered.json")
    store = await Store.in_memory()
    app = app_with(tmp_path, store, memory=memory)
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        await pilot.press("ctrl+o")
        await until(lambda: len(app.screen_stack) > 2)
        await pilot.press(*"other", "enter")
        await settled(chat, "Other")
    engine = ScriptedEngine(loaded=False)
    app = app_with(tmp_path, await Store.in_memory(), engine, memory=Preferences(tmp_path / "remembered.json"))
    async with app.run_test(size=(120, 36)):
        chat = await ready(app)
        assert uses(chat, engine)[2] == "other"


@pytest.mark.parametrize(
    ("options", "settings", "model"),
    [
        (ChatOptions(), {}, "other"),
        (ChatOptions(), {"model": "tiny"}, "tiny"),
        (ChatOptions(model="other"), {"model": "tiny"}, "other"),
    ],
)
async def test_an_option_wins_over_the_configuration_and_that_over_what_was_used_last(
    tmp_path: Path, options: ChatOptions, settings: dict[str, str], model: str
) -> None:
    memory, engine = Preferences(None), ScriptedEngine(loaded=False)
    memory.remember("model", "other", "")
    app = app_with(tmp_path, await Store.in_memory(), engine, memory=memory, options=options, **settings)
    async with app.run_test(size=(120, 36)):
        chat = await ready(app)
        assert uses(chat, engine)[2] == model


async def test_a_last_model_that_is_gone_is_said_and_the_default_is_loaded(tmp_path: Path) -> None:
    memory, engine = Preferences(None), ScriptedEngine(loaded=False)
    memory.remember("model", "nowhere", "")
    app = app_with(tmp_path, await Store.in_memory(), engine, memory=memory)
    async with app.run_test(size=(120, 36)):
        chat = await ready(app)
        assert uses(chat, engine)[2] == "tiny"
        assert reported(app) == ["The model that was used last is not available: there is no model `nowhere`."]
