"""A chat that a page hides: it goes on, costs no paint, and is seen as it is then when the page is closed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual._compositor import LayoutUpdate

from app.domain.conversation import UserMessage
from app.tui.app import TokscopeApp
from app.tui.chat.screen import ChatScreen
from app.tui.dialogs.pickers import Palette
from app.tui.inspector.screen import InspectorScreen
from app.tui.watch.screen import WatchScreen
from tests.fakes.chat_app import make_app, ready, until
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import reply

WORDS = " ".join(f"word{n}" for n in range(400))
PAGES = pytest.mark.parametrize(("key", "page"), [("f3", InspectorScreen), ("f7", WatchScreen)])


def painted(chat: ChatScreen) -> str:
    """The chat as it was last laid out."""
    return "\n".join(strip.text for strip in chat._compositor.render_strips())  # pyright: ignore[reportPrivateUsage]


def whole_paints(app: TokscopeApp, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Grows by every paint of a whole screen."""
    paints: list[object] = []
    display: Callable[[Any, object], None] = getattr(app, "_display")  # noqa: B009 no public way

    def overheard(screen: Any, update: object) -> None:
        if isinstance(update, LayoutUpdate):
            paints.append(update)
        display(screen, update)

    monkeypatch.setattr(app, "_display", overheard)
    return paints


@PAGES
async def test_a_hidden_reply_that_grows_paints_nothing_and_is_all_there_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, page: type
) -> None:
    engine = ScriptedEngine([reply(WORDS)], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("count"))
        await engine.release(4)
        await pilot.press(key)
        await until(lambda: isinstance(app.screen, page) and app.screen.is_mounted)
        await pilot.pause()
        paints = whole_paints(app, monkeypatch)
        for n in (100, 200, 300):
            await engine.release(100)
            await until(lambda n=n: f"word{n}" in chat.transcript.last_reply())
            await pilot.pause()
        assert paints == []
        assert not chat.is_current
        await pilot.press("escape")
        await until(lambda: app.screen is chat and chat.is_current)
        await until(lambda: "word302" in painted(chat))
        engine.run_free()
        await until(lambda: not chat.chat.running)
        await until(lambda: "word399" in painted(chat) and "word0 " not in painted(chat))


@PAGES
async def test_a_hidden_chat_has_the_size_of_a_window_that_was_changed(tmp_path: Path, key: str, page: type) -> None:
    app = make_app(tmp_path, ScriptedEngine([WORDS]))
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("count"))
        await until(lambda: len(chat.chat.session.branch) == 2 and not chat.chat.running)
        await pilot.press(key)
        await until(lambda: isinstance(app.screen, page) and app.screen.is_mounted)
        await pilot.resize_terminal(120, 30)
        await pilot.press("escape")
        await until(lambda: app.screen is chat and chat.size == (120, 30))
        await until(lambda: "word399" in painted(chat) and len(painted(chat).splitlines()) == 30)
        assert chat.composer.region.bottom <= 30


async def test_a_chat_that_is_seen_behind_a_dialog_goes_on_being_painted(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine())
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        await pilot.press("ctrl+p")
        await until(lambda: isinstance(app.screen, Palette) and app.screen.is_mounted)
        assert chat.is_current
