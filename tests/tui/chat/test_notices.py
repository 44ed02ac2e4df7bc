"""Where passing notices are shown: they cover neither what is written nor what is said in the upper half."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets._toast import Toast

from app.tui.common.options import ChatOptions
from tests.fakes.chat_app import make_app, ready, until
from tests.fakes.scripted_engine import ScriptedEngine

LONG = "config.toml:2: `fps` must be a whole number, not text, and this goes on until it has to be wrapped for sure"

ODD = "x" * 38 + " {} another."
"""Around the width of a notice at 80 columns: it must not be reckoned to be lower than it is."""


@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
@pytest.mark.parametrize("n", range(5))
async def test_the_reason_for_no_model_is_readable_beside_notices(
    tmp_path: Path, size: tuple[int, int], n: int
) -> None:
    options = ChatOptions(model="nope")
    app = make_app(
        tmp_path, ScriptedEngine(loaded=False), options=options, notices=(LONG, "and 1 more", ODD.format("y" * n))
    )
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(lambda: app.screen_of_chat is not None and app.screen_of_chat.loader.status.error)
        await until(lambda: len(app.screen.query(Toast)) == 3)
        await pilot.pause()
        rows = ["".join(segment.text for segment in line) for line in app.screen._compositor.render_strips()]  # pyright: ignore[reportPrivateUsage] what is on the screen
        screen = "\n".join(rows)
        for words in ("there is no model `nope`", "`tok models` lists them", "Ask anything"):
            assert words in screen
        for words in ("for sure", "another."):
            assert words in screen


async def test_a_notice_stays_above_a_tall_draft(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine())
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        chat = await ready(app)
        chat.composer.put_draft("line\n" * 7 + "line")
        await until(lambda: chat.composer.region.height == 10 and chat.composer.region.bottom == 22)
        app.announce(LONG)
        await until(lambda: app.screen.query(Toast) and app.screen.query(Toast).first().region.height == 3)
        await pilot.pause()
        toast = app.screen.query(Toast).first().region
        assert (toast.bottom, toast.right) == (chat.composer.region.y, chat.size.width - 1)
