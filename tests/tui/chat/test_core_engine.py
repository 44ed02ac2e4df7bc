"""The whole chat over a backend that serves the core of an engine alone: what it cannot do is hidden."""

from __future__ import annotations

from pathlib import Path

from textual.widgets import Static

from app.domain.conversation import ReplyState
from app.tui.dialogs.confirm import Confirm
from app.tui.dialogs.help import Help
from app.tui.dialogs.pickers import Palette
from app.tui.inspector.screen import InspectorScreen
from app.tui.panels.pages import PAGES
from app.tui.watch.screen import WatchScreen
from tests.fakes.chat_app import answered, bar, contents, make_app, ready, reported, until
from tests.fakes.engine_events import make_lost
from tests.fakes.scripted_core import ScriptedCore
from tests.fakes.scripts import Load, reply

HIDDEN = {
    *("restart", "step", "branches", "rewrite", "continue", "speculate", "record_stages"),
    *("inspect_sampler", "inspect_prompt", "watch_speculation", "watch_cells"),
}


async def test_a_load_shows_its_progress(tmp_path: Path) -> None:
    engine = ScriptedCore(loaded=False, load_gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(120, 36)):
        await engine.release_load(2)
        chat = app.screen_of_chat
        assert chat is not None
        await until(lambda: "loading" in bar(chat, "header"))
        engine.run_free()
        await ready(app)
        await until(lambda: "● ready" in bar(chat, "header"))


async def test_it_sends_streams_stops_and_regenerates(tmp_path: Path) -> None:
    engine = ScriptedCore([reply("one two three four"), "Again."], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        await pilot.press(*"count", "enter")
        await engine.release(3)
        await until(lambda: chat.transcript.last_reply() == "one two")
        await pilot.press("escape")
        await until(lambda: not chat.chat.running)
        assert chat.chat.session.branch[1].state is ReplyState.STOPPED
        engine.run_free()
        await pilot.press("ctrl+r")
        await answered(chat)
        await until(lambda: contents(chat) == ["count", "Again."])
        assert "● ready" in bar(chat, "header")
        await pilot.press("alt+left")
        await until(lambda: contents(chat) == ["count", "one two"])
        assert reported(app) == []


async def test_conversations_begin_and_are_found_again(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedCore(["First.", "Second."]))
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        await pilot.press(*"one", "enter")
        await answered(chat)
        await pilot.press("ctrl+n")
        await until(lambda: not chat.chat.session.branch)
        await pilot.press(*"two", "enter")
        await answered(chat)
        await pilot.press("ctrl+b", *"one")
        await until(lambda: app.screen is not chat)
        await pilot.press("enter")
        await until(lambda: contents(chat) == ["one", "First."])
        chat.action_command("delete")
        await until(lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(lambda: not chat.chat.session.branch)


async def test_a_lost_engine_is_started_by_the_next_message(tmp_path: Path) -> None:
    engine = ScriptedCore([reply("one two", dies_after=1), "Back."])
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await ready(app)
        await pilot.press(*"a", "enter")
        await until(lambda: "✕ engine lost" in bar(chat, "header"))
        await pilot.press(*"b", "enter")
        await answered(chat, 4)
        assert (contents(chat)[-1], engine.n_started) == ("Back.", 2)


async def test_a_failed_load_is_shown(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedCore(loaded=False, loads=[Load(outcome=make_lost())]))
    async with app.run_test(size=(120, 36)):
        await until(lambda: app.screen_of_chat is not None and app.screen_of_chat.loader.status.error)


async def test_panels_pages_and_inspector_open(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedCore(["Rain is water."]), show_panels=True)
    async with app.run_test(size=(140, 40)) as pilot:
        chat = await ready(app)
        await pilot.press(*"why?", "enter")
        await answered(chat)
        assert not any("threads" in line or "KV" in line for line in chat.panels.shown)
        await pilot.press("f7")
        await until(lambda: isinstance(app.screen, WatchScreen))
        for _ in PAGES:
            await pilot.press("right")
        await pilot.press("escape")
        await until(lambda: app.screen is chat)
        await pilot.press("f3")
        await until(lambda: isinstance(app.screen, InspectorScreen))
        assert isinstance(app.screen, InspectorScreen)
        await pilot.press("enter", "2", "r", "w", "3")
        assert "fork" not in app.screen.keys.text
        await pilot.press("escape")
        await until(lambda: app.screen is chat)


async def test_what_it_cannot_do_is_hidden(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedCore(["Rain is water."]))
    async with app.run_test(size=(200, 60)) as pilot:
        chat = await ready(app)
        await pilot.press(*"why?", "enter")
        await answered(chat)
        assert {name for name in chat.commands if not chat.keymap.offers(name)} == HIDDEN
        keys = bar(chat, "keys")
        assert "^R again" in keys
        assert all(word not in keys for word in ("step", "branches"))
        await pilot.press("f4", "f6", "f9", "tab", "s")
        await until(lambda: chat.composer.text == "s")
        assert (app.screen, reported(app), chat.step.armed) == (chat, [], False)
        await pilot.press("ctrl+p")
        await until(lambda: isinstance(app.screen, Palette))
        assert isinstance(app.screen, Palette)
        offered = {row.id for row in await app.screen.find("")}
        assert {"regenerate", "history", "model", "inspect"} <= offered
        assert not offered & HIDDEN
        await pilot.press("escape", "f1")
        await until(lambda: isinstance(app.screen, Help))
        text = str(app.screen.query_one("#help-text", Static).content)
        assert "regenerate" in text
        assert all(name not in text.split() for name in HIDDEN)
