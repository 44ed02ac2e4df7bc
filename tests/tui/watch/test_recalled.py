"""The panels and the status line show the figures of the reply on the screen, however it came there."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.analysis.meter import Phase
from app.domain.conversation import UserMessage
from app.store.store import Store
from app.tui.chat.screen import ChatScreen
from app.tui.common.options import ChatOptions
from app.tui.panels.status import StatusLine
from tests.fakes.chat_app import make_app, ready, until
from tests.fakes.scripted_engine import ScriptedEngine

FOUR, TWO = "one two three four", "one two"


def drawn(chat: ChatScreen) -> str:
    """The column and the status line, each blank once."""
    return " ".join(" ".join([*chat.panels.shown, *chat.query_one(StatusLine).shown]).split())


async def reported(chat: ChatScreen, words: str) -> None:
    await until(lambda: words in drawn(chat))


@pytest.mark.parametrize("loads_late", [False, True])
async def test_a_conversation_that_is_opened_again_has_its_figures(tmp_path: Path, *, loads_late: bool) -> None:
    path = tmp_path / "tokscope.db"
    app = make_app(tmp_path, ScriptedEngine([FOUR]), store=await Store.open(path))
    async with app.run_test(size=(120, 40)):
        chat = await ready(app)
        chat.chat.submit(UserMessage("count"))
        await until(lambda: chat.meter.phase is Phase.DONE and not chat.chat.running)
        before = [token.id for token in chat.meter.tokens]
    await app.close()
    options = ChatOptions(continue_last=True)
    engine = ScriptedEngine(load_gated=loads_late)
    app = make_app(tmp_path, engine, store=await Store.open(path), options=options)
    async with app.run_test(size=(120, 40)):
        await until(lambda: app.screen_of_chat is not None and len(app.screen_of_chat.chat.session.branch) == 2)
        engine.run_free()
        chat = await ready(app)
        await until(lambda: chat.meter.phase is Phase.DONE)
        assert [token.id for token in chat.meter.tokens] == before
        await reported(chat, "STOP stopped: end of turn")
    await app.close()


async def test_a_version_that_is_shown_has_its_figures_and_a_new_conversation_has_none(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine([FOUR, TWO]))
    async with app.run_test(size=(140, 40)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("count"))
        await reported(chat, "DECODE 5 tokens")
        await until(lambda: not chat.chat.running)
        await pilot.press("ctrl+r")
        await reported(chat, "DECODE 3 tokens")
        await until(lambda: not chat.chat.running)
        await pilot.press("alt+left")
        await reported(chat, "DECODE 5 tokens")
        await pilot.press("alt+right")
        await reported(chat, "DECODE 3 tokens")
        await pilot.press("ctrl+n")
        await reported(chat, "STOP no reply yet")


async def test_one_token_is_not_reported_as_several(tmp_path: Path) -> None:
    engine = ScriptedEngine([FOUR], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)):
        chat = await ready(app)
        chat.chat.submit(UserMessage("count"))
        while chat.meter.n_generated < 1:
            await engine.release()
        await reported(chat, "1 token │ decode")
        await engine.release()
        await reported(chat, "2 tokens │ decode")
