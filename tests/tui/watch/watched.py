"""What the tests of watching share."""

from __future__ import annotations

import msgspec
from textual.pilot import Pilot

from app.domain.conversation import UserMessage
from app.domain.generation import CellSpan, DraftCounts, PromptSpans
from app.domain.trace import Origin, TokenTrace, TopToken
from app.tui.app import TokscopeApp
from app.tui.chat.screen import ChatScreen
from app.tui.common.preferences import Preferences
from app.tui.watch.screen import PanelPicker, WatchScreen
from tests.fakes.chat_app import answered, ready, until
from tests.fakes.engine_events import make_token
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import Reply

CELLS = (
    CellSpan("system", 12, "reused"),
    CellSpan("earlier", 8, "reused"),
    CellSpan("prompt", 20, "computed", 20.0),
    CellSpan("reply", 33, "computed", 320.0),
    CellSpan("free", 8119),
)


def drafted_tokens() -> list[TokenTrace]:
    """A first token, eight plain steps, and eight of a kept guess, a kept guess and a replaced one."""
    tokens = [make_token("One", ms=30.0)]
    for at in range(8):
        tokens.append(make_token(f" plain{at}", ms=10.0))
        first = make_token(" kept", ms=15.0)
        tokens += [
            msgspec.structs.replace(first, origin=Origin.DRAFT),
            msgspec.structs.replace(first, origin=Origin.DRAFT, ms=0.0),
            msgspec.structs.replace(make_token(" own"), ms=0.0, ghosts=(TopToken(7, " ghost", 0.2),)),
        ]
    return tokens


def engine(*, gated: bool = False) -> ScriptedEngine:
    script = Reply(
        tokens=drafted_tokens(),
        n_prompt=40,
        n_cached=20,
        spans=PromptSpans(12, 8, 20),
        drafting=DraftCounts(8, 24, 16, (8, 8, 8), (8, 8, 0)),
        cells=CELLS,
    )
    return ScriptedEngine([script], gated=gated)


async def asked(pilot: Pilot[int], *, wait: bool = True) -> ChatScreen:
    app = pilot.app
    assert isinstance(app, TokscopeApp)
    chat = await ready(app)
    chat.chat.submit(UserMessage("Why?"))
    if wait:
        await answered(chat)
    await pilot.pause()
    return chat


def watching(pilot: Pilot[int]) -> WatchScreen:
    screen = pilot.app.screen
    assert isinstance(screen, WatchScreen)
    return screen


async def picking(app: TokscopeApp) -> PanelPicker:
    await until(lambda: isinstance(app.screen, PanelPicker) and app.screen.is_mounted)
    picker = app.screen
    assert isinstance(picker, PanelPicker)
    await until(lambda: picker.highlighted is not None)
    return picker


def remembering(choice: str) -> Preferences:
    memory = Preferences(None)
    memory.remember("panel_choice", choice, "")
    return memory
