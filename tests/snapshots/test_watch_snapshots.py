"""How watching looks: each page at both sizes, the panels in the column, and the help's pages."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from textual.pilot import Pilot

from app.domain.conversation import UserMessage
from app.domain.generation import CellSpan, DraftCounts, PromptSpans
from app.domain.trace import Origin, TokenTrace, TopToken
from app.tui.app import TokscopeApp
from app.tui.chat.screen import ChatScreen
from app.tui.common.options import ChatOptions
from app.tui.common.preferences import Preferences
from app.tui.dialogs.help import Help
from app.tui.watch.screen import WatchScreen
from tests.fakes.chat_app import answered, make_app, ready, until
from tests.fakes.engine_events import make_token
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import Reply

Compare = Callable[..., bool]
Before = Callable[[Pilot[int]], Awaitable[None]]

NARROW, WIDE = (80, 24), (140, 40)
SIZES = pytest.mark.parametrize("size", [NARROW, WIDE], ids=["narrow", "wide"])
WORDS = re.findall(r"\S+", "Warm air rises and cools until its vapour condenses , and then the drops grow and fall .")
AT = 1_700_000_000.0
CELLS = (
    CellSpan("system", 34, "restored", 0.0, AT - 86_400, AT - 86_400, 3),
    CellSpan("earlier", 778, "reused", 0.0, AT - 95, AT - 60, 3),
    CellSpan("prompt", 47, "computed", 41.2, AT, AT),
    CellSpan("reply", 216, "computed", 2340.0, AT, AT + 2.3),
    CellSpan("free", 7117),
)


def tokens() -> list[TokenTrace]:
    """Every fifth token ends a kept draft of two, every seventh replaces two guesses; chances of an end vary."""
    made: list[TokenTrace] = []
    for at in range(216):
        ms = 10.0 + at / 80 + (at * 7 % 5) / 4 + (30.0 if at == 140 else 0.0)
        token = make_token(f" {WORDS[at % len(WORDS)]}", at, ms=ms if at else 52.0, rank=1 + at % 3)
        if at % 5 in (2, 3):
            token = msgspec.structs.replace(token, origin=Origin.DRAFT, ms=14.0 if at % 5 == 2 else 0.0, decode_ms=12.0)
        elif at % 5 == 4:
            token = msgspec.structs.replace(token, origin=Origin.BONUS, ms=0.0)
        elif at % 7 == 0 and at:
            ghosts = (TopToken(7, " vapour", 0.2), TopToken(8, " cloud", 0.0))
            token = msgspec.structs.replace(token, ghosts=ghosts)
        if not token.ms:
            token = msgspec.structs.replace(token, decode_ms=0.0, sample_ms=0.0, text_ms=0.0)
        made.append(msgspec.structs.replace(token, p_end=10 ** -(1 + at * 13 % 70 / 10)))
    return made


def app_of(tmp_path: Path, *, choice: str = "", theme: str | None = None) -> TokscopeApp:
    script = Reply(
        tokens=tokens(),
        n_prompt=859,
        n_cached=812,
        spans=PromptSpans(34, 778, 47),
        drafting=DraftCounts(55, 110, 86, (55, 43, 12), (43, 43, 0)),
        cells=CELLS,
    )
    memory = Preferences(None)
    memory.remember("panel_choice", choice, "")
    return make_app(tmp_path, ScriptedEngine([script]), memory=memory, options=ChatOptions(theme=theme))


async def asked(pilot: Pilot[int]) -> ChatScreen:
    app = pilot.app
    assert isinstance(app, TokscopeApp)
    chat = await ready(app)
    chat.chat.submit(UserMessage("Why does it rain?"))
    await answered(chat)
    await pilot.pause()
    # The screen's own clock is the only one here that is not scripted.
    clock = chat.meter.screen
    clock.start(0.0, 0.0)
    for at in range(30):
        clock.arrived(at / 10)
        clock.flushed(at / 10 + 0.025)
    clock.ticked(3.0, 0.2, 0.001)
    return chat


def on_page(name: str) -> Before:
    async def before(pilot: Pilot[int]) -> None:
        chat = await asked(pilot)
        chat.action_command(f"watch_{name}")
        await until(lambda: isinstance(pilot.app.screen, WatchScreen))
        await pilot.pause()

    return before


@SIZES
@pytest.mark.parametrize("name", ["speculation", "latency", "cells", "ending", "figures"])
def test_a_page(snap_compare: Compare, tmp_path: Path, name: str, size: tuple[int, int]) -> None:
    assert snap_compare(app_of(tmp_path), terminal_size=size, run_before=on_page(name))


@pytest.mark.parametrize("theme", ["paper", "terminal"])
def test_speculation_in_another_theme(snap_compare: Compare, tmp_path: Path, theme: str) -> None:
    assert snap_compare(app_of(tmp_path, theme=theme), terminal_size=NARROW, run_before=on_page("speculation"))


def test_chosen_panels_in_the_column(snap_compare: Compare, tmp_path: Path) -> None:
    choice = "speculation=shown,cells=shown,ending=shown,next=hidden,cost=hidden"

    async def before(pilot: Pilot[int]) -> None:
        await asked(pilot)

    assert snap_compare(app_of(tmp_path, choice=choice), terminal_size=WIDE, run_before=before)


@SIZES
@pytest.mark.parametrize("page", ["how", "views"])
def test_the_help(snap_compare: Compare, tmp_path: Path, page: str, size: tuple[int, int]) -> None:
    async def before(pilot: Pilot[int]) -> None:
        await asked(pilot)
        await pilot.app.run_action(f"app.help('{page}')")
        await until(lambda: isinstance(pilot.app.screen, Help))
        await pilot.pause()

    assert snap_compare(app_of(tmp_path), terminal_size=size, run_before=before)
