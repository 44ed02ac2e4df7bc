"""Speculation is turned on and off for the next reply, and says so."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from app.domain.conversation import UserMessage
from app.tui.chat.screen import ChatScreen
from app.tui.watch.screen import WatchScreen
from tests.fakes.chat_app import make_app, until
from tests.tui.watch.watched import asked, engine


@pytest.mark.parametrize("where", ["chat", "page"])
async def test_speculation_is_turned_on_for_the_next_reply(tmp_path: Path, where: str) -> None:
    scripted = engine()
    app = make_app(tmp_path, scripted)
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await asked(pilot)
        if where == "chat":
            await app.screen.run_action("screen.command('speculate')")
        else:
            await pilot.press("f7")
            await until(lambda: isinstance(app.screen, WatchScreen))
            await pilot.press("d", "escape")
            await until(lambda: isinstance(app.screen, ChatScreen))
        chat.chat.submit(UserMessage("Again?"))
        await until(lambda: len(scripted.requests) == 2)
        assert [request.speculate for request in scripted.requests] == [None, True]
        assert all(request.include_prompt for request in scripted.requests)


@pytest.mark.parametrize(
    ("draft", "words"),
    [
        (None, ["Speculation is on from the next reply on.", "Speculation is off from the next reply on."]),
        (
            "/models/small.gguf",
            ["Speculation is off from the next reply on.", "Speculation is on from the next reply on."],
        ),
    ],
)
async def test_what_turning_speculation_on_and_off_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, draft: str | None, words: list[str]
) -> None:
    app = make_app(tmp_path, engine())
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await asked(pilot)
        located = chat.loader.located
        assert located is not None
        options = msgspec.structs.replace(located.options, draft=draft)
        chat.loader.located = msgspec.structs.replace(located, options=options)
        reported: list[str] = []
        monkeypatch.setattr(app, "notify", lambda message, **_: reported.append(message))
        chat.action_command("speculate")
        chat.action_command("speculate")
        assert reported == words
        assert chat.watching.setting.speculate is (draft is not None)
