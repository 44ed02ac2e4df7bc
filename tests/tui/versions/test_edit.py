"""Messages of the user that are edited and sent again."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events

from app.client.engine import EngineState
from app.domain.conversation import UserMessage
from app.tui.versions.edit import EditMessage
from app.tui.versions.fork import Rewrite
from tests.fakes.chat_app import answered, contents, make_app, ready, reported, shown, until
from tests.fakes.scripted_engine import ScriptedEngine
from tests.unit.session.session_helpers import refuse


@pytest.mark.usefixtures("soon_alone")
async def test_an_edited_message_is_a_version_that_is_walked_like_a_reply(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(["one", "two", "three"]))
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        await pilot.press("alt+up")
        await until(lambda: reported(app) == ["There is no message to edit yet."])
        chat.chat.submit(UserMessage("first"))
        await answered(chat)
        chat.chat.submit(UserMessage("second"))
        await answered(chat, 4)
        await pilot.press("alt+up")
        await until(lambda: isinstance(app.screen, EditMessage))
        await pilot.press("!", "ctrl+s")
        await until(lambda: contents(chat) == ["first", "one", "second!", "three"] and not chat.chat.running)
        await until(lambda: "‹ 2/2 ›" in shown(chat))
        await pilot.press("up")
        assert chat.composer.text == "second!"
        await pilot.press("down", "alt+left")
        await until(lambda: contents(chat) == ["first", "one", "second", "two"] and "‹ 1/2 ›" in shown(chat))


async def test_an_earlier_message_is_reached_in_the_dialog_and_changes_are_kept(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(["one", "two", "three"]))
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("first"))
        await answered(chat)
        chat.chat.submit(UserMessage("second"))
        await answered(chat, 4)
        await pilot.press("alt+up")
        await until(lambda: isinstance(app.screen, EditMessage))
        await pilot.press("alt+up", "alt+up", "!", "alt+down", "alt+down", "?", "alt+up", "ctrl+s")
        await until(lambda: contents(chat) == ["first!", "three"] and not chat.chat.running)
        await pilot.press("alt+left")
        await until(lambda: contents(chat) == ["first", "one", "second", "two"])


async def test_a_running_reply_is_stopped_for_an_edit(tmp_path: Path) -> None:
    engine = ScriptedEngine(["one two three", "four"], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("first"))
        await engine.release(2)
        await pilot.press("alt+up")
        await until(lambda: isinstance(app.screen, EditMessage))
        await pilot.press("!", "ctrl+s")
        await until(lambda: len(engine.requests) == 2)
        engine.run_free()
        await until(lambda: contents(chat) == ["first!", "four"])
        assert engine.aborted == [1]


async def test_an_unchanged_or_blank_message_is_not_sent(tmp_path: Path) -> None:
    engine = ScriptedEngine(["one"])
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("a"))
        await answered(chat)
        await pilot.press("alt+up")
        await until(lambda: isinstance(app.screen, EditMessage))
        await pilot.press("ctrl+s")
        await until(lambda: reported(app) == ["The message is unchanged and was not sent."])
        await pilot.press("alt+up")
        await until(lambda: isinstance(app.screen, EditMessage))
        await pilot.press("backspace", "ctrl+s")
        await until(lambda: app.screen is chat)
        assert (contents(chat), len(engine.requests)) == (["a", "one"], 1)


async def test_a_text_that_cannot_be_sent_is_in_the_composer(tmp_path: Path) -> None:
    engine = ScriptedEngine(["one"])
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("first"))
        await answered(chat)
        await pilot.press("alt+up")
        await until(lambda: isinstance(app.screen, EditMessage))
        engine._state = EngineState.NO_MODEL  # pyright: ignore[reportPrivateUsage] a model that was taken away
        await pilot.press("!", "ctrl+s")
        await until(lambda: chat.composer.text == "first!")
        assert reported(app) == ["No model is loaded. The text is in the composer."]
        assert contents(chat) == ["first", "one"]


async def test_an_edit_that_nothing_answers_comes_back_and_the_old_branch_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ScriptedEngine(["one"])
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("first"))
        await answered(chat)
        refuse(engine, monkeypatch)
        await pilot.press("alt+up")
        await until(lambda: isinstance(app.screen, EditMessage))
        await pilot.press("!", "ctrl+s")
        await until(lambda: chat.composer.text == "first!" and not chat.chat.running)
        assert contents(chat) == ["first", "one"]
        assert "is back in the composer" in shown(chat)


@pytest.mark.parametrize(("key", "dialog"), [("alt+up", EditMessage), ("f9", Rewrite)])
async def test_keys_of_one_burst_are_written_before_the_text_is_sent(
    tmp_path: Path, key: str, dialog: type[EditMessage | Rewrite]
) -> None:
    app = make_app(tmp_path, ScriptedEngine(["one", "two"]))
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("first"))
        await answered(chat)
        await pilot.press(key)
        await until(lambda: isinstance(app.screen, dialog))
        for typed in ("!", "?", "ctrl+s"):
            app.post_message(events.Key(typed, typed if len(typed) == 1 else None))
        expected = ["first!?", "two"] if dialog is EditMessage else ["first", "one!?two"]
        await until(lambda: contents(chat) == expected)
