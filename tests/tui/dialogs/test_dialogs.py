"""History, models, presets, themes, palette and help, driven by keys."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TypeVar

import pytest
from textual.content import Content
from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from app.domain.conversation import Role, UserMessage
from app.domain.errors import ConfigError
from app.store.store import Store
from app.tui.chat.history import HistoryPicker
from app.tui.common.commands import COMMANDS
from app.tui.common.options import ChatOptions
from app.tui.common.preferences import Preferences
from app.tui.dialogs.confirm import AskLine, Confirm
from app.tui.dialogs.help import Help
from app.tui.dialogs.picker import Picker, PickerRow
from app.tui.dialogs.pickers import ModelPicker, Palette, PresetPicker, ThemePicker
from tests.fakes.chat_app import make_app, ready, reported, until
from tests.fakes.scripted_engine import ScriptedEngine

Kind = TypeVar("Kind", bound=Picker)


async def stored(*titles: str) -> Store:
    """A store with one conversation a title, the last one newest, each with a question and a reply."""
    store = await Store.in_memory()
    for title in titles:
        conversation, question = await store.start_conversation(title, UserMessage(f"about {title}"))
        await store.add_message(conversation.id, question.id, Role.ASSISTANT, f"it is {title}")
    return store


async def opened(pilot: Pilot[int], kind: type[Kind], key: str) -> Kind:
    await pilot.press(key)
    await until(lambda: isinstance(pilot.app.screen, kind) and pilot.app.screen.query(OptionList))
    picker = pilot.app.screen
    assert isinstance(picker, kind)
    await until(lambda: picker.highlighted is not None)
    return picker


def titles(picker: Picker) -> list[str]:
    return [row.title for row in picker.rows]


@pytest.mark.parametrize("error", [None, ConfigError("no disk")])
async def test_a_dialog_that_is_closed_while_it_looks_for_its_rows_shows_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: ConfigError | None
) -> None:
    app = make_app(tmp_path, ScriptedEngine(), store=await stored("sea"))
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        picker = await opened(pilot, HistoryPicker, "ctrl+b")
        asked, may_answer = asyncio.Event(), asyncio.Event()

        async def find(_query: str) -> list[PickerRow]:
            asked.set()
            await may_answer.wait()
            if error:
                raise error
            return []

        monkeypatch.setattr(picker, "find", find)
        again = app.run_worker(picker.refill())
        await asked.wait()
        await pilot.press("escape")
        await until(lambda: app.screen is chat and not picker.children)
        may_answer.set()
        await again.wait()
        await picker.refill()
        await pilot.pause()
        assert reported(app) == []
        picker.show_problem(ConfigError("no disk"))
        await until(lambda: reported(app) == ["no disk"])


async def test_the_history_opens_what_is_chosen(tmp_path: Path) -> None:
    store = await stored("sea", "sky")
    app = make_app(tmp_path, ScriptedEngine(), store=store)
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        picker = await opened(pilot, HistoryPicker, "ctrl+b")
        assert titles(picker) == ["sky", "sea"]
        await pilot.press("down", "enter")
        await until(lambda: chat.chat.session.conversation is not None)
        assert [message.content for message in chat.chat.session.branch] == ["about sea", "it is sea"]
        assert chat.transcript.last_reply() == "it is sea"
        await pilot.press("up")
        await until(lambda: chat.composer.text == "about sea")


@pytest.mark.parametrize("width", [120, 80])
async def test_rows_have_their_width_from_the_first_frame_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    lengths: list[int] = []
    make = Picker._prompt  # pyright: ignore[reportPrivateUsage] what the list is given

    def prompt(picker: Picker, row: PickerRow) -> Content:
        content = make(picker, row)
        lengths.append(content.cell_length)
        return content

    monkeypatch.setattr(Picker, "_prompt", prompt)
    app = make_app(tmp_path, ScriptedEngine(), store=await stored("sea"))
    async with app.run_test(size=(width, 36)) as pilot:
        await ready(app)
        await opened(pilot, HistoryPicker, "ctrl+b")
        await pilot.pause()
        assert set(lengths) == {min(78, int(width * 0.96)) - 8}


async def test_the_history_finds_by_text(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(), store=await stored("sea", "sky"))
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(app)
        picker = await opened(pilot, HistoryPicker, "ctrl+b")
        await pilot.press(*"sea")
        await until(lambda: titles(picker) == ["sea"])
        await pilot.press(*"xyz")
        await until(lambda: titles(picker) == [])
        assert str(picker.query_one(".dialog-detail", Static).render()) == HistoryPicker.NOTHING


async def test_the_history_renames(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(), store=await stored("sea"))
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(app)
        picker = await opened(pilot, HistoryPicker, "ctrl+b")
        await pilot.press("f2")
        await until(lambda: isinstance(app.screen, AskLine))
        await pilot.press("ctrl+u", *"ocean", "enter")
        await until(lambda: titles(picker) == ["ocean"])


async def test_the_history_deletes_after_a_question_and_brings_back(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    app = make_app(tmp_path, engine, store=await stored("sea", "sky"))
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(app)
        picker = await opened(pilot, HistoryPicker, "ctrl+b")
        await pilot.press("ctrl+d")
        await until(lambda: isinstance(app.screen, Confirm))
        await pilot.press("enter")
        await until(lambda: app.screen is picker)
        assert titles(picker) == ["sky", "sea"]
        await pilot.press("ctrl+d")
        await until(lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(lambda: titles(picker) == ["sea"])
        assert engine.forgotten == [2]
        await pilot.press("ctrl+z")
        await until(lambda: titles(picker) == ["sky", "sea"])


async def test_what_was_deleted_in_another_session_is_forgotten_when_this_one_begins(tmp_path: Path) -> None:
    store = await stored("sea", "sky", "sun")
    await store.delete(1)
    await store.delete(3)
    await store.restore(3)
    engine = ScriptedEngine()
    app = make_app(tmp_path, engine, store=store)
    async with app.run_test(size=(120, 36)):
        await ready(app)
        await until(lambda: engine.forgotten == [1])


async def test_deleting_the_conversation_on_the_screen_leaves_an_empty_one(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(), store=await stored("sea"))
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        await chat.conversations.open_last()
        chat.action_command("delete")
        await until(lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(lambda: chat.chat.session.conversation is None and chat.has_class("-empty"))
        chat.action_command("undo_delete")
        await until(lambda: chat.chat.session.conversation is not None)
        assert chat.transcript.last_reply() == "it is sea"


async def test_a_new_conversation(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(), store=await stored("sea"), options=ChatOptions(continue_last=True))
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        await until(lambda: chat.chat.session.conversation is not None)
        assert chat.transcript.last_reply() == "it is sea"
        await pilot.press("ctrl+n")
        await until(lambda: chat.chat.session.conversation is None and chat.has_class("-empty"))


async def test_a_model_that_is_not_installed_says_how_to_get_it(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(app)
        picker = await opened(pilot, ModelPicker, "ctrl+o")
        assert titles(picker) == ["Tiny Test", "Absent"]
        await pilot.press("down")
        await until(lambda: str(picker.query_one(".dialog-detail", Static).render()) == "pip install absent")
        await pilot.press("enter")
        assert app.screen is picker
        await pilot.press("up", "enter")
        await until(lambda: app.screen is app.screen_of_chat)
        assert len(engine.loads) == 1


async def test_a_preset_is_chosen_with_its_parameters_in_view(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        picker = await opened(pilot, PresetPicker, "ctrl+s")
        await pilot.press(*"determ")
        await until(lambda: titles(picker) == ["deterministic"])
        assert "temperature 0" in str(picker.query_one(".dialog-detail", Static).render())
        await pilot.press("enter")
        await until(lambda: chat.chat.session.settings.preset.name == "deterministic")
        chat.chat.submit(UserMessage("hi"))
        await until(lambda: engine.requests)
        assert engine.requests[0].sampling.temperature == 0


async def test_a_theme_is_tried_on_and_taken_off(tmp_path: Path) -> None:
    memory = Preferences(None)
    app = make_app(tmp_path, ScriptedEngine(), memory=memory)
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(app)
        assert app.theme == "graphite"
        picker = await opened(pilot, ThemePicker, "ctrl+t")
        await pilot.press(*"paper")
        await until(lambda: titles(picker) == ["paper"])
        await until(lambda: app.theme == "paper")
        await pilot.press("escape")
        await until(lambda: app.theme == "graphite")
        await opened(pilot, ThemePicker, "ctrl+t")
        await pilot.press(*"ember", "enter")
        await until(lambda: app.theme == "ember")
        assert memory.recall("theme", "auto") == "ember"


async def test_the_palette_lists_and_runs_every_command(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine())
    async with app.run_test(size=(120, 50)) as pilot:
        await ready(app)
        picker = await opened(pilot, Palette, "ctrl+p")
        assert titles(picker) == [command.title for command in COMMANDS if command.id != "palette"]
        await pilot.press(*"help", "enter")
        await until(lambda: isinstance(app.screen, Help))
        await pilot.press("escape")
        await until(lambda: app.screen is app.screen_of_chat)


async def test_what_comes_before_a_picker_is_laid_out_is_shown_in_it(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(), store=await stored("sea"))
    async with app.run_test(size=(80, 24)):
        chat = await ready(app)
        picker = HistoryPicker(chat.conversations, chat)
        app.push_screen(picker)
        picker.show_problem(ConfigError("no disk"))  # nothing of it is mounted yet
        await until(lambda: titles(picker) == ["sea"])


async def test_every_command_has_its_action(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine())
    async with app.run_test(size=(80, 24)):
        chat = await ready(app)
        assert set(chat.commands) == {command.id for command in COMMANDS if not command.app_action}
    for command in COMMANDS:
        if name := command.app_action.partition("(")[0].removeprefix("app."):
            assert callable(getattr(app, f"action_{name}")), command.id


async def test_the_history_says_when_nothing_was_deleted_and_reopens_what_was_open(tmp_path: Path) -> None:
    options = ChatOptions(continue_last=True)
    app = make_app(tmp_path, ScriptedEngine(), store=await stored("sea"), options=options)
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        await until(lambda: chat.chat.session.branch)
        picker = await opened(pilot, HistoryPicker, "ctrl+b")
        await pilot.press("ctrl+z")
        await until(lambda: reported(app) == ["There is no deleted conversation to restore."])
        await pilot.press("ctrl+d")
        await until(lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(lambda: chat.chat.session.conversation is None and app.screen is picker)
        await pilot.press("ctrl+z")
        await until(lambda: chat.transcript.last_reply() == "it is sea")
        await until(lambda: [row.current for row in picker.rows] == [True])


@pytest.mark.parametrize("size", [(80, 24), (80, 18), (80, 15), (60, 12), (40, 10)])
@pytest.mark.parametrize("key", ["ctrl+b", "ctrl+o", "ctrl+s", "ctrl+t", "ctrl+p", "f1"])
async def test_a_dialog_keeps_its_hints_on_a_low_screen(tmp_path: Path, size: tuple[int, int], key: str) -> None:
    app = make_app(tmp_path, ScriptedEngine(), store=await stored(*"abcdefghijklmnop"))
    async with app.run_test(size=size) as pilot:
        chat = await ready(app)
        await pilot.press(key)
        await until(lambda: app.screen is not chat and app.screen.query(".dialog-hints"))
        await pilot.pause()
        await pilot.pause()
        hints = app.screen.query_one(".dialog-hints", Static)
        dialog = app.screen.query_one(".dialog")
        inside = dialog.region.shrink((1, 1, 1, 1))
        assert app.screen.region.contains_region(dialog.region)
        assert inside.contains_region(hints.region)
        n_words = len(str(hints.render()).split())
        drawn = [hints.render_line(y).text for y in range(hints.size.height)]
        assert len(" ".join(drawn).split()) == n_words
        content = app.screen.query_one(".dialog-scroll" if key == "f1" else ".dialog-list")
        assert content.size.height >= 2
        assert inside.contains_region(content.region)


async def test_no_row_of_the_help_is_wrapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    app = make_app(tmp_path, ScriptedEngine())
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        await pilot.press("f1")
        await until(lambda: app.screen is not chat and app.screen.query(".dialog-scroll"))
        await pilot.pause()
        text = app.screen.query_one(".dialog-scroll Static", Static)
        assert "~/tokscope" in str(text.render())
        assert max(len(line) for line in str(text.render()).splitlines()) <= text.size.width
