"""The manual in the chat: found by words, read, and left again."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.containers import VerticalScroll
from textual.widgets import Static

from app.manual import TOPICS
from app.tui.dialogs.help import Help
from app.tui.dialogs.manual import ManualPicker, ManualTopic
from tests.fakes.chat_app import make_app, ready, until
from tests.fakes.scripted_engine import ScriptedEngine


@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
async def test_the_help_leads_to_topics_and_lines_of_the_manual(tmp_path: Path, size: tuple[int, int]) -> None:
    app = make_app(tmp_path, ScriptedEngine())
    async with app.run_test(size=size) as pilot:
        chat = await ready(app)
        await pilot.press("f1")
        await until(lambda: isinstance(app.screen, Help) and app.screen.query("#help-text"))
        await pilot.press("enter")
        await until(lambda: isinstance(app.screen, ManualPicker) and app.screen.rows)
        picker = app.screen
        assert isinstance(picker, ManualPicker)
        assert [row.id for row in picker.rows] == list(TOPICS)
        await pilot.press(*"exit codes")
        await until(lambda: any(row.title == "Exit codes" for row in picker.rows))
        assert picker.rows[0].id == "troubleshooting"
        while not (picker.highlighted and picker.highlighted.title == "Exit codes"):
            await pilot.press("down")
        await pilot.press("enter")
        await until(lambda: isinstance(app.screen, ManualTopic) and len(app.screen.query(".manual-part")) == 2)
        scroll, part = app.screen.query_one(VerticalScroll), app.screen.query(".manual-part").last(Static)
        await until(lambda: scroll.scroll_y > 0 and scroll.region.contains_point(part.region.offset))
        await pilot.press("escape", "escape", "escape")
        await until(lambda: app.screen is chat)
