"""A model that thinks, in the chat: one line that opens, what is copied, stored and opened again."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tests.fakes.chat_app import answered, drawn, make_app, ready, reported, until
from tests.fakes.engine_events import make_token
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import Reply

THOUGHT = ("<think>", "Rain ", "is wet.", "</think>")


def thinking(*answer: str) -> Reply:
    said = (*THOUGHT, *answer)
    return Reply(tokens=[msgspec.structs.replace(make_token(t, i), thinking=i < 4) for i, t in enumerate(said)])


async def test_thinking_is_one_line_that_a_key_opens(tmp_path: Path) -> None:
    engine = ScriptedEngine([thinking("It ", "is.")], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        await pilot.press(*"why?", "enter")
        await engine.release(4)
        await until(lambda: "▸ thinking · 3 tokens · 0.0 s · Rain is wet." in drawn(chat))
        await pilot.press("alt+t")
        assert "▾ thinking · 3 tokens" in drawn(chat)
        assert "│ Rain is wet." in drawn(chat)
        await engine.release(20)
        await answered(chat)
        assert "▾ thought · 4 tokens" in drawn(chat)
        await pilot.press("alt+t")
        assert "▸ thought · 4 tokens" in drawn(chat)
        assert "Rain is wet." not in drawn(chat)
        assert chat.transcript.last_reply() == "It is."
        (_, stored) = chat.chat.session.branch
        assert stored.content == "<think>Rain is wet.</think>It is."
        assert (stored.answer, stored.thinking is not None) == ("It is.", True)
        chat.show_branch(chat.chat.session.branch)
        assert "▸ thought · 4 tokens" in drawn(chat)


async def test_the_letter_opens_it_and_a_chat_without_any_says_so(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(["It is.", thinking("Yes.")]))
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        await pilot.press(*"why?", "enter")
        await answered(chat)
        await pilot.press("alt+t")
        assert reported(app) == ["No reply here has any thinking."]
        await pilot.press(*"so?", "enter")
        await answered(chat, 4)
        chat.transcript.focus()
        await pilot.press("t")
        await until(lambda: "│ Rain is wet." in drawn(chat))
