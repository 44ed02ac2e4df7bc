"""An engine that hangs or keeps dying: the chat says so, offers what helps, and every offer works."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.client.engine import EngineState, Stall
from app.domain.conversation import ReplyState, UserMessage
from app.tui.chat import screen as chat_screen
from app.tui.chat.screen import ChatScreen
from tests.fakes.chat_app import answered, bar, contents, make_app, ready, reported, shown, until
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import Reply, reply
from tests.fakes.stored import children


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks at the engine often."""
    monkeypatch.setattr(chat_screen, "_STALL_S", 0.02)


DIES = Reply(pieces=("half",), dies_after=1)


def stall_line(chat: ChatScreen) -> str:
    return bar(chat, "stall") if chat.state.stall.display else ""


async def test_a_hung_engine_is_reported_in_a_reply_and_the_notice_goes_when_it_wakes(tmp_path: Path) -> None:
    engine = ScriptedEngine([reply("one two")], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)):
        chat = await ready(app)
        chat.chat.submit(UserMessage("count"))
        await engine.release(2)
        assert stall_line(chat) == ""
        engine.stall = Stall(6.4, answers=False)
        await until(lambda: stall_line(chat))
        assert stall_line(chat) == "▲ Engine silent for 6 s  waiting  ^R restarts it  ^O other model  Esc stops"
        assert "▲ silent" in bar(chat, "header")
        engine.stall = None
        await until(lambda: not stall_line(chat))
        assert "◉ replying" in bar(chat, "header")
        engine.run_free()
        await answered(chat)
        assert contents(chat)[1] == "one two"


async def test_a_hung_engine_is_reported_over_another_screen_too(tmp_path: Path) -> None:
    engine = ScriptedEngine([reply("one two")], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("count"))
        await engine.release(2)
        await pilot.press("f1")
        await until(lambda: app.screen is not chat)
        engine.stall = Stall(6.0, answers=False)
        await until(lambda: "▲ Engine silent for 6 s" in reported(app))
        engine.stall = Stall(7.0, answers=False)
        await until(lambda: "7 s" in stall_line(chat))
        assert [text for text in reported(app) if "silent" in text] == ["▲ Engine silent for 6 s"]
        engine.run_free()
        await answered(chat)


async def test_a_hung_load_is_reported_and_can_be_restarted(tmp_path: Path) -> None:
    engine = ScriptedEngine(["answer"], loaded=False, load_gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(lambda: app.screen_of_chat is not None and app.screen_of_chat.loader.status.fraction is not None)
        chat = app.screen_of_chat
        assert chat is not None
        engine.stall = Stall(31.0, answers=True)
        await until(lambda: stall_line(chat))
        assert stall_line(chat) == "▲ Engine without progress for 31 s  waiting  ^R restarts it  ^O other model"
        engine.run_free()
        await pilot.press("ctrl+r")
        await until(lambda: chat.loader.ready and len(engine.loads) == 2)
        assert engine.n_restarts == 1
        await until(lambda: not stall_line(chat))


@pytest.mark.parametrize("how", ["ctrl+r", "click"])
async def test_a_restart_keeps_what_came_and_asks_again(tmp_path: Path, how: str) -> None:
    engine = ScriptedEngine([reply("one two three"), "whole"], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("count"))
        await engine.release(2)
        engine.stall = Stall(6.0, answers=False)
        await until(lambda: stall_line(chat))
        if how == "click":
            await pilot.click("#stall", offset=(stall_line(chat).index("restarts") + 2, 0))
        else:
            await pilot.press(how)
        await until(lambda: engine.n_restarts == 1)
        engine.run_free()
        await until(lambda: contents(chat)[-1] == "whole" and not chat.chat.running)
        question = chat.chat.session.branch[0]
        store = chat.chat.session.store
        assert store is not None
        kept = [(reply.content, reply.state) for reply in await children(store, question.conversation_id, question.id)]
        assert kept == [("one", ReplyState.STOPPED), ("whole", ReplyState.DONE)]


@pytest.mark.parametrize("way", ["send", "regenerate", "model"])
async def test_after_three_deaths_every_way_to_try_again_works(tmp_path: Path, way: str) -> None:
    engine = ScriptedEngine([DIES, DIES, DIES, "whole"])
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(100, 30)) as pilot:
        chat = await ready(app)
        for n in range(3):
            chat.chat.submit(UserMessage(f"try {n}"))
            await answered(chat, 2 * n + 2)
        engine.crash_looping = True
        assert shown(chat).count("The next message starts it again.") == 3
        assert "load a model" not in shown(chat)
        if way == "send":
            await pilot.press(*"more", "enter")
            await answered(chat, 8)
        elif way == "regenerate":
            await pilot.press("ctrl+r")
            await until(lambda: contents(chat)[-1] == "whole" and not chat.chat.running)
        else:
            n_loads = len(engine.loads)
            await pilot.press("ctrl+o")
            await until(lambda: app.screen is not chat)
            await pilot.press("enter")
            await until(lambda: len(engine.loads) == n_loads + 1 and chat.loader.ready)
            assert engine.state is EngineState.READY
            chat.chat.submit(UserMessage("more"))
            await answered(chat, 8)
        assert contents(chat)[-1] == "whole"


async def test_a_queue_is_not_fed_to_an_engine_that_keeps_dying(tmp_path: Path) -> None:
    engine = ScriptedEngine([DIES, "whole", "more"], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(100, 30)):
        chat = await ready(app)
        chat.chat.submit(UserMessage("first"))
        chat.chat.submit(UserMessage("second"))
        engine.crash_looping = True
        engine.run_free()
        await answered(chat)
        assert chat.chat.session.branch[-1].state is ReplyState.INTERRUPTED
        assert chat.chat.waiting == [UserMessage("second")]
        await until(lambda: "because the engine was lost" in bar(chat, "queue"))
        chat.chat.submit(UserMessage("third"))
        await answered(chat, 6)
        assert contents(chat)[2:] == ["second", "whole", "third", "more"]


async def test_a_load_that_dies_is_tried_again_by_ctrl_r_too(tmp_path: Path) -> None:
    engine = ScriptedEngine([DIES, "whole"])
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(100, 30)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("first"))
        await answered(chat)
        chat.loader.status.error = "The engine was lost while it loaded the model"
        await pilot.press("ctrl+r")
        await until(lambda: contents(chat)[-1] == "whole" and not chat.chat.running)
