"""A reply that is opened again looks as it did when it ended: text, note, panels and status line."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.geometry import Region

from app.analysis.meter import Phase
from app.domain.conversation import UserMessage
from app.domain.generation import FinishReason, Stop
from app.store.store import Store
from app.tui.chat.screen import ChatScreen
from app.tui.common.options import ChatOptions
from app.tui.panels.status import StatusLine
from tests.fakes.chat_app import drawn, make_app, ready, until
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import Reply, reply

TEXT = "one **two** three\nfour"
ENDS = {
    "end of turn": (reply(TEXT), ""),
    "stop string": (reply(TEXT, stop=Stop("string", "END")), ""),
    "length": (reply(TEXT, finish=FinishReason.LENGTH), "length limit"),
    "context": (reply(TEXT, finish=FinishReason.CONTEXT), "context full"),
    "stopped": (reply(TEXT, finish=FinishReason.ABORT), "stopped by you"),
    "failed": (reply(TEXT, finish=FinishReason.ERROR, error="no logits"), "no logits"),
    "grammar": (reply(TEXT, finish=FinishReason.LENGTH, incomplete=True), "length limit; incomplete"),
    "messages dropped": (reply(TEXT, trimmed=(2, 900)), "the 2 oldest messages (900 tokens) left out"),
    "tokens dropped": (reply(TEXT, n_shifted=1200), "1,200 older tokens dropped while it was written"),
    "stopped and dropped": (
        reply(TEXT, finish=FinishReason.ABORT, trimmed=(1, 70), n_shifted=1200),
        "stopped by you; the oldest message (70 tokens) left out; 1,200 older tokens dropped",
    ),
}


def picture(chat: ChatScreen) -> dict[str, list[str]]:
    """What stands on the screen, from the reply on."""
    strips = chat.transcript.render_lines(Region(0, 0, *chat.transcript.size))
    lines = [line for strip in strips if (line := strip.text.rstrip())]
    return {
        "reply": lines[next(n for n, line in enumerate(lines) if line.startswith("◆")) :],
        "panels": list(chat.panels.shown),
        "status": list(chat.query_one(StatusLine).shown),
    }


def whole(chat: ChatScreen, note: str) -> bool:
    """Returns whether the reply and its note are drawn."""
    text = drawn(chat)
    return "◆ one two three" in text and note in text


async def write(path: Path, script: Reply, size: tuple[int, int], note: str) -> dict[str, list[str]]:
    """Has a reply written; returns the picture at its end."""
    app = make_app(path.parent, ScriptedEngine([script]), store=await Store.open(path))
    async with app.run_test(size=size):
        chat = await ready(app)
        chat.chat.submit(UserMessage("count"))
        await until(lambda: chat.meter.phase is Phase.DONE and not chat.chat.running and whole(chat, note))
        chat.refresh_panels()
        before = picture(chat)
    await app.close()
    return before


async def open_again(path: Path, size: tuple[int, int], note: str) -> dict[str, list[str]]:
    """Opens the last conversation in a new chat; returns its picture."""
    options = ChatOptions(continue_last=True)
    app = make_app(path.parent, ScriptedEngine(), store=await Store.open(path), options=options)
    async with app.run_test(size=size):
        chat = await ready(app)
        await until(lambda: chat.meter.phase is Phase.DONE and whole(chat, note))
        chat.refresh_panels()
        after = picture(chat)
    await app.close()
    return after


@pytest.mark.parametrize("size", [(80, 24), (140, 40)], ids=["80x24", "140x40"])
@pytest.mark.parametrize("end", ENDS)
async def test_a_reply_looks_the_same_when_it_is_opened_again(tmp_path: Path, end: str, size: tuple[int, int]) -> None:
    script, note = ENDS[end]
    path = tmp_path / "tokscope.db"
    before = await write(path, script, size, note)
    assert await open_again(path, size, note) == before


async def test_a_reply_whose_engine_died_says_so_when_it_is_opened_again(tmp_path: Path) -> None:
    """The notice of the loss is the moment's and not kept."""
    note, path = "interrupted: killed by SIGKILL; this is what had arrived", tmp_path / "tokscope.db"
    before = await write(path, reply(TEXT, dies_after=3), (140, 40), note)
    after = await open_again(path, (140, 40), note)
    assert after["reply"] == before["reply"][: len(after["reply"])]
    assert after["reply"][-1] == f"  ✗ {note}"
    lost = "engine lost: killed by SIGKILL"
    assert lost in " ".join(before["panels"])
    assert lost in " ".join(after["panels"])


async def test_a_reply_that_esc_stopped_looks_the_same_when_it_is_opened_again(tmp_path: Path) -> None:
    size, note, path = (140, 40), "stopped by you", tmp_path / "tokscope.db"
    engine = ScriptedEngine([reply(TEXT)], gated=True)
    app = make_app(tmp_path, engine, store=await Store.open(path))
    async with app.run_test(size=size) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("count"))
        while chat.meter.n_generated < 3:
            await engine.release()
        await pilot.press("escape")
        engine.run_free()
        await until(lambda: chat.meter.phase is Phase.DONE and not chat.chat.running and whole(chat, note))
        chat.refresh_panels()
        before = picture(chat)
    await app.close()
    assert await open_again(path, size, note) == before
