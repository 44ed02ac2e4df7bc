"""The help explains how the reply on the screen was made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from app.tui.app import TokscopeApp
from app.tui.dialogs.help import Help
from app.tui.dialogs.pickers import Palette
from tests.fakes.chat_app import make_app, ready, until
from tests.tui.watch.watched import asked, engine


def page_text(app: TokscopeApp) -> str:
    return str(app.screen.query_one("#help-text").render())


async def test_the_help_shows_how_this_reply_came_about(tmp_path: Path) -> None:
    app = make_app(tmp_path, engine())
    async with app.run_test(size=(80, 24)) as pilot:
        await asked(pilot)
        await pilot.press("f1")
        await until(lambda: isinstance(app.screen, Help))
        await pilot.pause()
        assert "Commands" in page_text(app)
        await pilot.press("right")
        await pilot.pause()
        assert "The conversation was cut into 40 tokens such as" in page_text(app)
        assert "Here 16 of 24 drafted tokens were accepted, which saved 120 ms." in page_text(app)
        await pilot.press("right")
        await pilot.pause()
        assert "Inspector" in page_text(app)
        await pilot.press("right", "left", "left")
        await pilot.pause()
        assert "The loop: five steps" in page_text(app)


async def test_the_story_is_that_of_the_preset_the_reply_was_made_with(tmp_path: Path) -> None:
    app = make_app(tmp_path, engine(), preset="deterministic")
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await asked(pilot)
        chat.chat.session.settings = replace(chat.chat.session.settings, preset=app.services.presets["creative"])
        steps, _ = chat.watching.story()
        assert steps[2].text.startswith("The temperature is 0, so the most likely token is always taken.")


@pytest.mark.parametrize(("query", "words"), [("how it works", "cut into tokens"), ("what you see", "KV-cache  ")])
async def test_the_helps_pages_have_palette_entries(tmp_path: Path, query: str, words: str) -> None:
    app = make_app(tmp_path, engine())
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app)
        await pilot.press("ctrl+p")
        await until(lambda: isinstance(app.screen, Palette))
        await pilot.press(*query, "enter")
        await until(lambda: isinstance(app.screen, Help))
        await pilot.pause()
        found: Callable[[], bool] = lambda: words.rstrip() in page_text(app)  # noqa: E731 -- a condition to wait on
        await until(found)
