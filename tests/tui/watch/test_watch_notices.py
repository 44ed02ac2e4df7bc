"""Notices on a page: only the newest is shown, so that they do not cover the figures."""

from __future__ import annotations

from pathlib import Path

from textual.widgets._toast import Toast

from app.tui.watch.screen import WatchScreen
from tests.fakes.chat_app import make_app, until
from tests.tui.watch.watched import asked, engine


async def test_a_page_shows_the_newest_notice_alone(tmp_path: Path) -> None:
    app = make_app(tmp_path, engine())
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await asked(pilot)
        await pilot.press("f7")
        await until(lambda: isinstance(app.screen, WatchScreen))
        for number in range(1, 6):
            app.screen.notify(f"notice {number}", timeout=60)
        await until(lambda: len(app.screen.query(Toast)) >= 5)
        await until(lambda: sum(bool(toast.region) for toast in app.screen.query(Toast)) == 1)
        newest = next(toast for toast in app.screen.query(Toast) if toast.region)
        assert "notice 5" in str(newest.render())
