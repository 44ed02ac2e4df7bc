"""The sampler's stages are recorded from the start where the configuration says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.config.settings import TraceSettings
from app.domain.conversation import UserMessage
from app.tui.inspector.screen import InspectorScreen
from tests.fakes.chat_app import make_app, until
from tests.fakes.scripted_engine import ScriptedEngine


@pytest.mark.parametrize(
    ("stages", "reported"), [(True, "no longer recorded"), (False, "recorded from the next reply")]
)
async def test_the_configuration_says_how_a_session_begins(tmp_path: Path, *, stages: bool, reported: str) -> None:
    engine = ScriptedEngine(["Rain is water.", "Rain is water."])
    app = make_app(tmp_path, engine, trace=TraceSettings(stages=stages))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(lambda: app.screen_of_chat is not None and app.screen_of_chat.loader.ready)
        chat = app.screen_of_chat
        assert chat is not None
        chat.chat.submit(UserMessage("why?"))
        await until(lambda: len(chat.chat.session.branch) == 2 and not chat.chat.running)
        await pilot.press("f3")
        await until(lambda: isinstance(app.screen, InspectorScreen) and app.screen.flow.n_tokens)
        await pilot.press("r")
        screen = app.screen
        assert isinstance(screen, InspectorScreen)
        await until(lambda: f"stages: {reported}" in screen.header.text)
        await pilot.press("escape")
        await until(lambda: app.screen is chat)
        chat.chat.submit(UserMessage("and?"))
        await until(lambda: len(chat.chat.session.branch) == 4 and not chat.chat.running)
        assert [request.trace_stages for request in engine.requests] == [stages, not stages]
