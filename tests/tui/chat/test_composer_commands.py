"""What clears the composer, what the arrows do in it, and what a reply that is running does to the commands."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from textual import events

from app.domain.conversation import Role, UserMessage
from app.tui.terminal import clipboard
from app.tui.terminal import clipboard as clip
from tests.fakes.chat_app import answered, contents, make_app, ready, reported, until
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import reply


async def test_a_key_clears_the_composer_and_undo_brings_it_back(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine())
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        for key in (*"ab", "ctrl+j", *"cd", "ctrl+l"):  # in one burst
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        await until(lambda: reported(app) == ["Cleared. Ctrl+Z brings it back."] and chat.composer.text == "")
        await pilot.press("ctrl+z")
        assert chat.composer.text == "ab\ncd"


async def test_escape_twice_clears_what_is_written_and_once_does_not(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine())
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        await pilot.press(*"draft", "escape")
        assert (chat.composer.text, reported(app)) == ("draft", ["Esc again clears the composer."])
        await pilot.press("escape")
        assert chat.composer.text == ""
        await pilot.press("ctrl+z")
        assert chat.composer.text == "draft"


async def test_the_escape_that_stops_a_reply_is_not_the_first_of_two(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine([reply("one two three")], gated=True))
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("ask"))
        await until(lambda: chat.chat.running)
        await pilot.press(*"draft", "escape")
        await until(lambda: not chat.chat.running)
        await pilot.press("escape")
        assert chat.composer.text == "draft"


async def test_another_key_can_clear(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(), keys={"clear": "ctrl+x"})
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        await pilot.press(*"draft", "ctrl+l")
        assert chat.composer.text == "draft"
        await pilot.press("ctrl+x")
        assert chat.composer.text == ""


async def test_alt_arrows_move_by_words_where_something_is_written(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine([reply("first"), reply("second")]))
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("ask"))
        await answered(chat)
        await pilot.press("ctrl+r")
        await until(lambda: contents(chat) == ["ask", "second"] and not chat.chat.running)
        await pilot.press(*"one", "space", *"two", "alt+left")
        assert (chat.composer.cursor_location, contents(chat)[1]) == ((0, 4), "second")
        await pilot.press("alt+right", "X")
        assert (chat.composer.text, contents(chat)[1]) == ("one twoX", "second")
        await pilot.press("ctrl+l", "alt+left")
        await until(lambda: contents(chat) == ["ask", "first"])
        await pilot.press("ctrl+z", "tab", "alt+right")  # the conversation has the focus
        await until(lambda: contents(chat) == ["ask", "second"])


async def test_regenerating_stops_the_reply_that_is_written(tmp_path: Path) -> None:
    engine = ScriptedEngine([reply("one two three"), reply("other")], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("ask"))
        engine.permit(2)
        await until(lambda: chat.transcript.last_reply())
        await pilot.press("ctrl+r")
        engine.run_free()
        await until(lambda: contents(chat) == ["ask", "other"] and not chat.chat.running)
        replies = [message for message in chat.chat.session.branch if message.role is Role.ASSISTANT]
        versions = await chat.chat.session.versions(replies)
        assert len(versions[replies[0].id]) == 2


async def test_a_new_conversation_says_that_a_reply_was_stopped(tmp_path: Path) -> None:
    engine = ScriptedEngine([reply("one two three")], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("ask"))
        await until(lambda: chat.chat.running and bool(contents(chat)))
        await pilot.press("ctrl+n")
        await until(lambda: not contents(chat) and not chat.chat.running)
        assert reported(app) == ["The reply in “ask” was stopped. Its text is in the history."]


@pytest.mark.parametrize(
    ("taken_by", "words"),
    [
        (
            "",
            "Sent to the terminal's clipboard (OSC 52): last reply, 6 characters. Some terminals do not allow it.",
        ),
        ("tmux", "Copied to tmux's buffer and offered to the terminal: last reply, 6 characters."),
        ("system", "Copied to the system's clipboard: last reply, 6 characters."),
    ],
)
async def test_copying_says_who_took_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken_by: str, words: str
) -> None:
    def hand_over(text: str) -> str:
        assert text == "answer"
        return taken_by

    monkeypatch.setattr(clip, "hand_over", hand_over)
    app = make_app(tmp_path, ScriptedEngine([reply("answer")]))
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("ask"))
        await answered(chat)
        await pilot.press("f5")
        await until(lambda: reported(app) == [words])
        assert app.clipboard == "answer"


class Programs:
    """Stands in for `subprocess.run`: what was called with which text, and what each program answers."""

    def __init__(self, *codes: int) -> None:
        self.codes = list(codes)
        self.calls: list[tuple[list[str], bytes]] = []

    def __call__(self, command: list[str], *, input: bytes, **_: object) -> subprocess.CompletedProcess[bytes]:
        self.calls.append((command, input))
        return subprocess.CompletedProcess(command, self.codes.pop(0))


def test_tmux_gets_the_text_and_an_old_one_without_its_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMUX", "/tmp/tmux-0/default,1,0")
    run = Programs(1, 0)
    monkeypatch.setattr(clipboard.subprocess, "run", run)
    assert clipboard.hand_over("é") == "tmux"
    assert run.calls == [(["tmux", "load-buffer", "-w", "-"], b"\xc3\xa9"), (["tmux", "load-buffer", "-"], b"\xc3\xa9")]
    monkeypatch.setattr(clipboard.subprocess, "run", Programs(1, 1))
    assert clipboard.hand_over("é") == ""


def test_over_ssh_the_clipboard_of_the_machine_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    monkeypatch.setenv("SSH_CONNECTION", "1 2 3 4")
    assert clipboard.hand_over("text") == ""
