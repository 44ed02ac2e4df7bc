"""What is typed before there is a composer is not lost."""

from __future__ import annotations

import io
import os
import pty
import sys
from pathlib import Path

import pytest
from textual import events

from app.tui.app import TokscopeApp
from app.tui.chat.screen import ChatScreen
from app.tui.terminal.background import BackgroundReply, ask, typed_ahead
from tests.fakes.chat_app import make_app, until
from tests.fakes.scripted_engine import ScriptedEngine

COLOUR, DA1 = b"\x1b]11;rgb:ffff/ffff/ffff\x1b\\", b"\x1b[?62;22c"


@pytest.mark.parametrize(
    ("reply", "typed"),
    [
        (b"", ""),
        (COLOUR + DA1, ""),
        (b"wh" + COLOUR + b"y" + DA1 + b"?\n", "why?\n"),
        (b"\x1b]11;rgb:0/0/0\x07\x1b[A\x1bOP\xc3\xa9\r\n\x00", "é\n"),
    ],
)
def test_what_was_typed_between_the_answers(reply: bytes, typed: str) -> None:
    assert typed_ahead(reply) == typed


def test_asking_for_the_background_throws_nothing_away(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = pty.openpty()
    with open(slave, encoding="utf-8") as stdin, io.FileIO(os.dup(slave), "w") as raw:
        monkeypatch.setattr(sys, "__stdin__", stdin)
        monkeypatch.setattr(sys, "__stderr__", raw)
        os.write(master, b"why?" + COLOUR + DA1)
        assert ask(timeout_s=5) == BackgroundReply(dark=False, typed="why?")
    os.close(master)


async def written(app: TokscopeApp, text: str) -> ChatScreen:
    await until(lambda: app.screen_of_chat is not None and app.screen_of_chat.composer.text == text)
    assert app.screen_of_chat is not None
    return app.screen_of_chat


async def test_what_the_terminal_gave_along_is_written(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(["answer"]), typed="why?\nand")
    async with app.run_test(size=(120, 36)):
        chat = await written(app, "and")
        await until(lambda: [message.content for message in chat.chat.session.branch] == ["why?", "answer"])


async def test_keys_before_the_composer_are_written_in_their_order(tmp_path: Path) -> None:
    def type_ahead() -> None:
        for key in (*"whx", "backspace", "y", "enter"):
            app.post_message(events.Key(key, "\r" if key == "enter" else key if len(key) == 1 else None))
        app.post_message(events.Paste("pasted"))

    app = make_app(tmp_path, ScriptedEngine(["answer"]), typed="", opening=type_ahead)
    async with app.run_test(size=(120, 36)):
        chat = await written(app, "pasted")
        await until(lambda: [message.content for message in chat.chat.session.branch] == ["why", "answer"])
