"""What was written and never sent is there again in the next session."""

from __future__ import annotations

from pathlib import Path

from app.tui.flow.memory import Memory
from tests.fakes.chat_app import make_app, until
from tests.fakes.scripted_engine import ScriptedEngine


async def test_a_draft_and_what_waited_in_line_come_back(tmp_path: Path) -> None:
    file = tmp_path / "remembered.json"
    engine = ScriptedEngine(["answer"], gated=True)
    app = make_app(tmp_path, engine, memory=Memory(file))
    async with app.run_test(size=(120, 36)) as pilot:
        await until(lambda: app.screen_of_chat is not None and app.screen_of_chat.chat.can_send)
        await pilot.press(*"one", "enter", *"two", "enter", *"three")
        await until(lambda: app.screen_of_chat is not None and app.screen_of_chat.chat.waiting == ["two"])
    await app.close()

    app = make_app(tmp_path, ScriptedEngine(), memory=Memory(file))
    async with app.run_test(size=(120, 36)):
        await until(lambda: app.screen_of_chat is not None and app.screen_of_chat.composer.text == "two\nthree")
        assert app.screen_of_chat is not None
        app.screen_of_chat.composer.take_draft()
    await app.close()
    assert Memory(file).take_unsent() == ""
