"""An old reply is watched as a new one."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.store.store import Store
from app.tui.common.options import ChatOptions
from app.tui.watch.screen import WatchScreen
from tests.fakes.chat_app import make_app, ready, until
from tests.tui.watch.watched import asked, engine, picking, remembering, watching


async def test_an_old_reply_is_watched_as_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "tokscope.db"
    app = make_app(tmp_path, engine(), store=await Store.open(path), preset="deterministic")
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await asked(pilot)
        reported = chat.watching.story()
    await app.close()
    app = make_app(tmp_path, engine(), store=await Store.open(path), options=ChatOptions(continue_last=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(lambda: app.screen_of_chat is not None and len(app.screen_of_chat.chat.session.branch) == 2)
        await ready(app)
        assert app.screen_of_chat is not None
        app.screen_of_chat.meter.screen.ticked(1.0, 0.5, 0.1)  # of a turn in another conversation
        await app.screen_of_chat.conversations.open_last()
        await pilot.press("f7")
        await until(lambda: isinstance(app.screen, WatchScreen))
        await pilot.pause()
        assert watching(pilot).page.shown[1].startswith("drafted 24    accepted 16 ")
        assert watching(pilot).flow.n_tokens == 34
        await pilot.press("right")
        await pilot.pause()
        assert "CPU of the app –" in " ".join(" ".join(watching(pilot).page.shown).split())
        await pilot.press("right")
        await pilot.pause()
        assert "R 40–72 33 reply computed – 320 ms" in [" ".join(row.split()) for row in watching(pilot).page.shown]
        assert app.screen_of_chat is not None
        assert app.screen_of_chat.watching.story() == reported
    await app.close()


@pytest.mark.parametrize("by", ["click", "picker"])
async def test_an_old_reply_has_its_figures_by_every_way_to_them(tmp_path: Path, by: str) -> None:
    path = tmp_path / "tokscope.db"
    app = make_app(tmp_path, engine(), store=await Store.open(path))
    async with app.run_test(size=(140, 40)) as pilot:
        await asked(pilot)
    await app.close()
    memory = remembering("latency=shown")
    options = ChatOptions(continue_last=True)
    app = make_app(tmp_path, engine(), store=await Store.open(path), options=options, memory=memory)
    async with app.run_test(size=(140, 40)) as pilot:
        await until(lambda: app.screen_of_chat is not None and len(app.screen_of_chat.chat.session.branch) == 2)
        chat = await ready(app)
        if by == "click":
            await until(lambda: any(line.startswith("LATENCY") for line in chat.panels.shown))
            row = next(y for y, line in enumerate(chat.panels.shown) if line.startswith("LATENCY"))
            await pilot.click(chat.panels, offset=(4, row))
        else:
            chat.action_command("choose_panels")
            await picking(app)
            await pilot.press("f7")
        await until(lambda: isinstance(app.screen, WatchScreen))
        assert len(chat.meter.tokens) == 34
    await app.close()
