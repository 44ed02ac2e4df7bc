"""At 60 × 20 nothing that a person needs is cut off or covered: the keys of every dialog, and the candidates."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Static

from app.domain.conversation import UserMessage
from app.tui.common.safe import Dialog
from tests.fakes.chat_app import answered, make_app, ready, until
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import reply


@pytest.mark.parametrize("size", [(60, 20), (60, 14), (80, 24)], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("key", ["ctrl+b", "ctrl+o", "ctrl+s", "ctrl+t", "ctrl+p", "f1", "f6", "f9"])
async def test_a_dialog_shows_all_its_keys(tmp_path: Path, key: str, size: tuple[int, int]) -> None:
    app = make_app(tmp_path, ScriptedEngine([reply("answer " * 80)]))
    async with app.run_test(size=size) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("ask"))
        await answered(chat)
        await pilot.press(key)
        await until(lambda: isinstance(app.screen, Dialog) and app.screen.takes_input)
        await pilot.pause()
        dialog, hints = app.screen.query_one(".dialog"), app.screen.query_one(".dialog-hints", Static)
        assert hints.region.bottom <= dialog.content_region.bottom
        words = str(hints.render()).split()
        rows = [hints.render_line(row).text for row in range(hints.size.height)]
        assert " ".join(rows).split() == words


@pytest.mark.parametrize("size", [(60, 20), (80, 24)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_a_notice_leaves_the_candidates_of_a_held_reply_free(tmp_path: Path, size: tuple[int, int]) -> None:
    app = make_app(tmp_path, ScriptedEngine([reply("one two three")]))
    async with app.run_test(size=size, notifications=True) as pilot:
        chat = await ready(app)
        await pilot.press("f4")
        await until(lambda: chat.step.armed)
        chat.chat.submit(UserMessage("ask"))
        await until(lambda: chat.step.state.paused and chat.step_dock.region)
        await pilot.pause()
        app.announce("Something to say.")
        await until(lambda: chat.query("Toast") and all(toast.region for toast in chat.query("Toast")))
        assert all(toast.region.bottom <= chat.step_dock.region.y for toast in chat.query("Toast"))


async def test_a_page_shows_how_it_is_left(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine([reply("answer")]))
    async with app.run_test(size=(60, 20)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("ask"))
        await answered(chat)
        await pilot.press("f7")
        await until(lambda: app.screen is not chat and app.screen.query("#hints"))
        await pilot.pause()
        assert str(app.screen.query_one("#hints").render()).rstrip().endswith("Esc close")
