"""NO_COLOR takes the colours away when it is set to something, and only then."""

from pathlib import Path

import pytest

from tests.fakes.chat_app import make_app, ready
from tests.fakes.scripted_engine import ScriptedEngine


@pytest.mark.parametrize(("value", "theme"), [("", "graphite"), ("1", "terminal")])
async def test_no_color(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, theme: str) -> None:
    monkeypatch.setenv("NO_COLOR", value)
    app = make_app(tmp_path, ScriptedEngine())
    async with app.run_test(size=(80, 24)):
        await ready(app)
        assert (app.theme, app.no_color) == (theme, value == "1")
