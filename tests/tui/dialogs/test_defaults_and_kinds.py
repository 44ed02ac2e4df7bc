"""Ctrl+D in the model and the preset dialog makes a default; F3 in the history lists questions apart from chats."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Static

from app.config.paths import config_file
from app.config.settings import load_settings
from app.domain.conversation import ConversationKind, UserMessage
from app.store.store import Store
from app.tui.chat.history import HistoryPicker
from app.tui.dialogs.pickers import ModelPicker, PresetPicker
from tests.fakes.chat_app import make_app, ready, reported, until
from tests.fakes.scripted_engine import ScriptedEngine
from tests.tui.dialogs.test_dialogs import opened, titles


async def test_a_preset_is_made_the_default_and_marked(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine())
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        picker = await opened(pilot, PresetPicker, "ctrl+s")
        assert [row.title for row in picker.rows if "default" in row.tail] == ["balanced"]
        await pilot.press(*"creative")
        await until(lambda: titles(picker) == ["creative"])
        await pilot.press("ctrl+d")
        await until(lambda: reported(app))
        assert reported(app) == [f"creative is the default now (preset in {config_file()})."]
        await until(lambda: [row.title for row in picker.rows if "default" in row.tail] == ["creative"])
        assert load_settings().settings.preset == "creative"
        await pilot.press("escape")
        await until(lambda: app.screen is chat)
        assert chat.chat.session.settings.preset.name == "balanced"
        again = await opened(pilot, PresetPicker, "ctrl+s")
        assert [row.title for row in again.rows if "default" in row.tail] == ["creative"]


async def test_a_model_is_made_the_default_unless_it_is_not_there(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine())
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(app)
        picker = await opened(pilot, ModelPicker, "ctrl+o")
        await pilot.press("ctrl+d")
        await until(lambda: reported(app))
        assert load_settings().settings.model == "tiny"
        await pilot.press("down", "ctrl+d")
        await until(lambda: len(reported(app)) == 2)
        assert reported(app)[1] == "pip install absent"
        assert load_settings().settings.model == "tiny"
        assert picker.is_current


async def test_a_configuration_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    config_file().parent.mkdir(parents=True, exist_ok=True)
    config_file().write_text("preset = \n")
    app = make_app(tmp_path, ScriptedEngine())
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(app)
        await opened(pilot, PresetPicker, "ctrl+s")
        await pilot.press("ctrl+d")
        await until(lambda: reported(app))
        assert "`preset` cannot be written" in reported(app)[0]
        assert config_file().read_text() == "preset = \n"


@pytest.fixture
async def both() -> Store:
    store = await Store.in_memory()
    await store.start_conversation("a chat", UserMessage("about tea"))
    await store.start_conversation("a question", UserMessage("about tea"), ConversationKind.ASK)
    return store


async def test_the_history_lists_chats_questions_and_both(tmp_path: Path, both: Store) -> None:
    app = make_app(tmp_path, ScriptedEngine(), store=both)
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(app)
        picker = await opened(pilot, HistoryPicker, "ctrl+b")
        assert titles(picker) == ["a chat"]
        await pilot.press("f3")
        await until(lambda: titles(picker) == ["a question"])
        assert picker.rows[0].tail.startswith("question · ")
        assert "questions of tok ask" in str(picker.query_one(".dialog-title", Static).render())
        await pilot.press("f3")
        await until(lambda: titles(picker) == ["a question", "a chat"])
        await pilot.press("f3")
        await until(lambda: titles(picker) == ["a chat"])
