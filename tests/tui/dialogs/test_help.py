"""The help over every view, by the view that it was opened in, and what the palette finds first."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.events import Key
from textual.pilot import Pilot

from app.domain.conversation import UserMessage
from app.tui.app import TokscopeApp
from app.tui.chat.screen import ChatScreen
from app.tui.common.commands import COMMANDS
from app.tui.common.views import VIEWS
from app.tui.dialogs.help import Help
from app.tui.dialogs.pickers import Palette
from app.tui.inspector.screen import InspectorScreen
from app.tui.parallel.plan import PlanDialog
from app.tui.watch.screen import WatchScreen
from app.tui.widgets.bar import Bar
from tests.fakes.chat_app import answered, make_app, ready, until
from tests.fakes.scripted_engine import ScriptedEngine
from tests.tui.parallel.planning import planned

WAYS = {
    "inspect": (("f3",), InspectorScreen),
    "inspect_sampler": (("f3", "2"), InspectorScreen),
    "inspect_prompt": (("f3", "3"), InspectorScreen),
    "watch_speculation": (("f7",), WatchScreen),
    "watch_latency": (("f7", "right"), WatchScreen),
    "watch_cells": (("f7", "right", "right"), WatchScreen),
    "watch_ending": (("f7", "left", "left"), WatchScreen),
    "watch_figures": (("f7", "left"), WatchScreen),
}
"""View to the keys that lead there and the screen that it is on."""


async def asked(app: TokscopeApp) -> ChatScreen:
    """The chat with one reply."""
    chat = await ready(app)
    chat.chat.submit(UserMessage("why?"))
    await answered(chat)
    return chat


async def helped(app: TokscopeApp, pilot: Pilot[int]) -> tuple[str, list[str]]:
    """Presses the key; the page that the help opens at, and its lines."""
    await pilot.press("f1")
    await until(lambda: isinstance(app.screen, Help) and app.screen.query("#help-text"))
    await pilot.pause()
    lines = str(app.screen.query_one("#help-text").render()).splitlines()
    return app.screen.query_one("#help-pages", Bar).text.split("▸")[1].split("   ")[0].strip(), lines


@pytest.mark.parametrize("view", WAYS)
async def test_the_key_of_help_shows_the_view_on_the_screen_first(tmp_path: Path, view: str) -> None:
    app = make_app(tmp_path, ScriptedEngine(["Rain is water."]))
    async with app.run_test(size=(80, 24)) as pilot:
        await asked(app)
        keys, kind = WAYS[view]
        for n, key in enumerate(keys):
            await pilot.press(key)
            if n == 0:
                await until(lambda: isinstance(app.screen, kind))
            await pilot.pause()
        shown = app.screen
        page, lines = await helped(app, pilot)
        reported = next(each for each in VIEWS if each.command == view)
        assert page == "What you see"
        assert lines[0].startswith(reported.title)
        assert lines[1] == reported.text
        assert sum(line.startswith(f"{reported.title}  ") for line in lines) == 1
        await pilot.press("f1")
        await until(lambda: app.screen is shown)


async def test_over_the_branches_it_shows_them_first_while_they_are_written(tmp_path: Path) -> None:
    engine = ScriptedEngine(["one two", "uno dos"], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app)
        await pilot.press(*"count")
        screen = await planned(app, pilot, "2")
        page, lines = await helped(app, pilot)
        assert page == "What you see"
        assert lines[0].startswith("Several replies")
        await pilot.press("f1")
        await until(lambda: app.screen is screen)
        engine.run_free()


async def test_over_a_dialog_and_in_the_chat_it_shows_the_keys(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(["Rain is water."]))
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await asked(app)
        assert (await helped(app, pilot))[0] == "Keys"
        await pilot.press("escape")
        await until(lambda: app.screen is chat)
        await pilot.press("f6")
        await until(lambda: isinstance(app.screen, PlanDialog))
        assert (await helped(app, pilot))[0] == "Keys"
        await pilot.press("escape")
        await until(lambda: isinstance(app.screen, PlanDialog))


async def test_the_key_pressed_twice_at_once_opens_one_help(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(["Rain is water."]))
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await asked(app)
        app.action_help()
        app.action_help()
        await until(lambda: isinstance(app.screen, Help))
        await pilot.pause()
        await pilot.press("escape")
        await until(lambda: app.screen is chat)


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("speculation on", "Speculation on or off"),
        ("speculation", "Speculation on or off"),
        ("inspect", "Inspect"),
        ("latency", "Watch latency"),
    ],
)
async def test_the_palette_finds_the_nearest_title_first(tmp_path: Path, query: str, first: str) -> None:
    app = make_app(tmp_path, ScriptedEngine())
    async with app.run_test(size=(80, 24)) as pilot:
        await until(lambda: app.screen_of_chat is not None)
        await pilot.press("ctrl+p")
        await until(lambda: isinstance(app.screen, Palette) and app.screen.highlighted is not None)
        await pilot.press(*query)
        picker = app.screen
        assert isinstance(picker, Palette)
        await until(lambda: picker.highlighted is not None and picker.highlighted.title == first)


def test_every_view_has_a_command_of_the_palette_and_two_sentences() -> None:
    known = {command.id for command in COMMANDS}
    for view in VIEWS:
        assert view.command in known, view.title
        sentences = [part for part in view.text.replace("…", ".").split(". ") if part]
        assert len(sentences) == 2, view.title


async def test_keys_that_arrive_together_all_scroll(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine())
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app)
        await helped(app, pilot)
        text = app.screen.query_one(".dialog-scroll")
        page = text.scrollable_content_region.height
        for keys, offset in ((["down"] * 5 + ["up"], 4), (["pagedown", "pagedown", "pageup", "down"], 5 + page)):
            for key in keys:
                app.post_message(Key(key, None))
            await pilot.pause()
            assert text.scroll_offset.y == offset
