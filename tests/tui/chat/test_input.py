"""What is typed or pasted gets to where a person means it, wherever the focus is and whatever is about to open."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from app.domain.conversation import UserMessage
from app.tui.app import TokscopeApp
from app.tui.chat.screen import ChatScreen
from app.tui.dialogs.confirm import AskLine
from app.tui.dialogs.help import Help
from app.tui.dialogs.picker import Picker
from app.tui.dialogs.pickers import ModelPicker, Palette, PresetPicker
from app.tui.inspector.screen import InspectorScreen
from app.tui.watch.screen import WatchScreen
from tests.fakes.chat_app import answered, contents, make_app, ready, reported, until
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import reply


def burst(app: App[int], *keys: str) -> None:
    """Gives the app keys as one read of the terminal brings them: nothing is handled in between."""
    for key in keys:
        char = {"enter": "\r", "space": " "}.get(key, key if len(key) == 1 else None)
        app.post_message(events.Key(key, char))


def text(words: str) -> list[str]:
    return ["space" if char == " " else char for char in words]


def title(chat: ChatScreen) -> str:
    conversation = chat.chat.session.conversation
    return conversation.title if conversation is not None else ""


async def in_the_conversation(app: TokscopeApp, pilot: Pilot[int]) -> ChatScreen:
    chat = await ready(app)
    chat.chat.submit(UserMessage("ask"))
    await answered(chat)
    await pilot.press("tab")
    assert chat.focused is chat.transcript
    return chat


@pytest.mark.parametrize(
    "words", ["summarize this", "is it", "just go", "keep", "give", "Go", "[a]", "]x", "ss", "hello"]
)
async def test_text_typed_in_the_conversation_is_written_whole(tmp_path: Path, words: str) -> None:
    app = make_app(tmp_path, ScriptedEngine([reply("answer")]))
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await in_the_conversation(app, pilot)
        burst(app, *text(words))
        await until(lambda: chat.composer.text == words)
        assert (chat.focused, chat.step.armed, reported(app)) == (chat.composer, False, [])


async def test_text_typed_key_by_key_is_written_whole_and_sent(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine([reply("answer"), reply("again")]))
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await in_the_conversation(app, pilot)
        await pilot.press(*text("summarize it"), "enter")
        await answered(chat, 4)
        assert contents(chat) == ["ask", "answer", "summarize it", "again"]


@pytest.mark.usefixtures("soon_alone")
async def test_a_letter_alone_is_its_command_and_only_while_nothing_is_written(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine([reply("answer")]))
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await in_the_conversation(app, pilot)
        await pilot.press("s")
        await until(lambda: chat.step.armed)
        assert (chat.composer.text, chat.focused) == ("", chat.transcript)
        await pilot.press("s")
        await until(lambda: not chat.step.armed)
        await pilot.press("i")
        await until(lambda: isinstance(app.screen, InspectorScreen))
        await pilot.press("escape")
        chat.composer.put_draft("draft ")
        chat.transcript.focus()
        await pilot.press("s")
        assert chat.composer.text == "draft s"


async def test_a_letter_that_ran_its_command_is_text_when_more_follows(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine([reply("answer")]))
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await in_the_conversation(app, pilot)
        await pilot.press("s")
        await until(lambda: chat.step.armed)
        await pilot.press("u", "m")
        await until(lambda: not chat.step.armed)
        assert chat.composer.text == "sum"


@pytest.mark.parametrize("key", ["enter", "backspace", "left"])
async def test_keys_that_edit_reach_what_is_written(tmp_path: Path, key: str) -> None:
    app = make_app(tmp_path, ScriptedEngine([reply("answer"), reply("again")]))
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await in_the_conversation(app, pilot)
        chat.composer.put_draft("why?")
        await pilot.press(key)
        if key == "enter":
            await answered(chat, 4)
        expected = {"enter": ("", (0, 0)), "backspace": ("why", (0, 3)), "left": ("why?", (0, 3))}[key]
        assert (chat.composer.text, chat.composer.cursor_location) == expected


async def test_a_paste_into_the_conversation_reaches_the_composer_once(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine([reply("answer")]))
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await in_the_conversation(app, pilot)
        burst(app, "s")
        app.post_message(events.Paste("one\ntwo"))
        burst(app, "!")
        await until(lambda: chat.composer.text == "sone\ntwo!")
        assert chat.focused is chat.composer


async def test_what_is_pasted_or_typed_over_a_held_reply_is_seen(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine([reply("one two three")]))
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        await pilot.press("f4")
        await until(lambda: chat.step.armed)
        chat.chat.submit(UserMessage("ask"))
        await until(lambda: chat.focused is chat.step_dock.panel)
        app.post_message(events.Paste("pasted"))
        await until(lambda: chat.composer.text == "pasted" and chat.composer.region)
        chat.step_dock.panel.focus()
        burst(app, "x", "b")
        await until(lambda: chat.composer.text == "pastedxb")
        assert chat.step.state.paused


@pytest.mark.parametrize(
    ("key", "kind", "query"),
    [
        ("ctrl+o", ModelPicker, "tiny"),
        ("ctrl+s", PresetPicker, "creative"),
        ("ctrl+p", Palette, "jump"),
        ("ctrl+t", Picker, "ember"),
    ],
)
async def test_keys_behind_the_one_that_opens_a_dialog_are_the_dialogs(
    tmp_path: Path, key: str, kind: type[Picker], query: str
) -> None:
    app = make_app(tmp_path, ScriptedEngine([reply("answer")]))
    async with app.run_test(size=(80, 24)):
        chat = await ready(app)
        burst(app, key, *query)
        await until(lambda: isinstance(app.screen, kind) and app.screen.query(Input))
        await until(lambda: app.screen.query_one(Input).value == query)
        assert chat.composer.text == ""


async def test_a_dialog_is_opened_used_and_left_in_one_burst(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine([reply("answer")]))
    async with app.run_test(size=(80, 24)):
        chat = await ready(app)
        burst(app, "ctrl+s", *"creative", "enter", *"hello", "ctrl+o", *"ti", "escape", *"!", "enter")
        await answered(chat)
        assert (chat.chat.session.settings.preset.name, contents(chat)[0]) == ("creative", "hello!")


async def test_what_is_typed_behind_a_command_of_the_palette_is_its_dialogs(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine([reply("answer")]))
    async with app.run_test(size=(80, 24)):
        chat = await ready(app)
        chat.chat.submit(UserMessage("ask"))
        await answered(chat)
        burst(app, "ctrl+p", *"rename", "enter", *"!!", "enter", *"then")
        await until(lambda: chat.composer.text == "then")
        await until(lambda: title(chat) == "!!")  # the old title is selected as the dialog opens
        assert chat.chat.session.settings.preset.name == "balanced"


async def test_what_is_typed_behind_a_key_of_the_history_is_its_dialogs(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine([reply("answer")]))
    async with app.run_test(size=(80, 24)):
        chat = await ready(app)
        chat.chat.submit(UserMessage("ask"))
        await answered(chat)
        burst(app, "ctrl+b", "f2", *"new", "enter", *"ne", "ctrl+d", *"n", "escape", *"then")
        await until(lambda: chat.composer.text == "then")
        await until(lambda: title(chat) == "new")


async def test_what_is_typed_when_nothing_opens_comes_to_the_composer(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine())
    async with app.run_test(size=(80, 24)):
        chat = await ready(app)
        burst(app, "f3", *"why")  # there is no reply to inspect
        await until(lambda: chat.composer.text == "why")


async def test_a_paste_into_a_dialog_reaches_its_field_as_one_line(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine([reply("answer")]))
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app)
        burst(app, "ctrl+o")
        app.post_message(events.Paste("ti\nny\x1b[31m"))
        await until(lambda: isinstance(app.screen, ModelPicker) and app.screen.query(Input))
        await until(lambda: app.screen.query_one(Input).value == "ti ny␛[31m")
        app.screen.query_one(OptionList).focus()
        await pilot.press("backspace")
        app.screen.query_one(Input).value = ""
        burst(app, *"ab")
        await until(lambda: app.screen.query_one(Input).value == "ab")
        app.screen.query_one(OptionList).focus()
        app.post_message(events.Paste("cd"))
        await until(lambda: app.screen.query_one(Input).value == "abcd")


async def test_a_paste_that_is_too_long_for_a_field_says_so(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine())
    async with app.run_test(size=(80, 24)):
        await ready(app)
        app.push_screen(AskLine("Rename", "old"))
        await until(lambda: isinstance(app.screen, AskLine) and app.screen.query(Input) and app.focused)
        app.post_message(events.Paste("x" * 300))
        await until(lambda: len(app.screen.query_one(Input).value) == 200)
        assert reported(app) == ["Only 200 characters fit here; the rest was left out."]


@pytest.mark.parametrize(("key", "kind"), [("f1", Help), ("f7", WatchScreen), ("f3", InspectorScreen)])
async def test_a_paste_into_a_view_without_a_field_waits_in_the_composer(
    tmp_path: Path, key: str, kind: type[Help | WatchScreen | InspectorScreen]
) -> None:
    app = make_app(tmp_path, ScriptedEngine([reply("answer")]))
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await in_the_conversation(app, pilot)
        await pilot.press(key)
        await until(lambda: isinstance(app.screen, kind) and app.screen.takes_input)
        app.post_message(events.Paste("pasted"))
        await until(lambda: chat.composer.text == "pasted")
        assert reported(app) == ["What you pasted is in the composer."]
