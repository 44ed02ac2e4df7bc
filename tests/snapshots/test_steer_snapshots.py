"""How steering looks: step mode, several replies at once, the dialogs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot

from app.domain.conversation import UserMessage
from app.domain.sampling import Preset, SamplingParams
from app.tui.app import TokscopeApp
from app.tui.parallel.plan import PlanDialog
from app.tui.parallel.screen import ParallelScreen
from app.tui.versions.fork import Rewrite
from tests.fakes.chat_app import answered, make_app, ready, until
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import reply

Compare = Callable[..., bool]
SIZES = pytest.mark.parametrize("size", [(80, 24), (140, 40)], ids=["narrow", "wide"])

RAIN = "Warm air **rises**, cools, and its vapour turns to drops that fall."
VERSIONS = (
    RAIN,
    "Rain is water:\n\n1. it evaporates\n2. it condenses\n3. it falls",
    "Because clouds grow heavy, and gravity has the last word.",
    "`while cloud.heavy: drop()`",
)


def asking(tmp_path: Path, *replies: str, seed: int | None = None) -> TokscopeApp:
    engine = ScriptedEngine([reply(text, n_prompt=84, n_cached=37) for text in replies])
    app = make_app(tmp_path, engine)
    if seed is not None:
        session_preset = Preset(name="fixed", sampling=SamplingParams(seed=seed))
        object.__setattr__(app.services, "preset", session_preset)
    return app


@SIZES
def test_step_mode(snap_compare: Compare, tmp_path: Path, size: tuple[int, int]) -> None:
    app = asking(tmp_path, RAIN)

    async def held(pilot: Pilot[int]) -> None:
        chat = await ready(app)
        chat.chat.session.settings = replace(chat.chat.session.settings, step_from_start=True)
        chat.chat.submit(UserMessage("Why does it rain?"))
        await until(lambda: chat.step.state.paused)
        await pilot.press("3", "space")
        await until(lambda: chat.step.state.paused and chat.step.state.n_generated == 3)
        await pilot.press("down")
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=held)


@SIZES
def test_branches(snap_compare: Compare, tmp_path: Path, size: tuple[int, int]) -> None:
    app = asking(tmp_path, *VERSIONS, seed=7)

    async def branched(pilot: Pilot[int]) -> None:
        chat = await ready(app)
        chat.composer.insert("Why does it rain?")
        await pilot.press("f6")
        await until(lambda: isinstance(app.screen, PlanDialog) and app.screen.is_mounted)
        await pilot.press("enter")
        await until(lambda: isinstance(app.screen, ParallelScreen) and not app.screen.running)
        await pilot.press("right")
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=branched)


def test_branch_plan(snap_compare: Compare, tmp_path: Path) -> None:
    app = asking(tmp_path, RAIN)

    async def planned(pilot: Pilot[int]) -> None:
        chat = await ready(app)
        chat.composer.insert("Why does it rain?")
        await pilot.press("f6")
        await until(lambda: isinstance(app.screen, PlanDialog) and app.screen.is_mounted)
        await pilot.press("down", "space")
        await pilot.pause()

    assert snap_compare(app, terminal_size=(80, 24), run_before=planned)


def test_rewrite(snap_compare: Compare, tmp_path: Path) -> None:
    app = asking(tmp_path, RAIN)

    async def rewriting(pilot: Pilot[int]) -> None:
        chat = await ready(app)
        chat.chat.submit(UserMessage("Why does it rain?"))
        await answered(chat)
        await pilot.press("f9")
        await until(lambda: isinstance(app.screen, Rewrite) and app.screen.is_mounted)
        await pilot.pause()

    assert snap_compare(app, terminal_size=(80, 24), run_before=rewriting)


def test_a_version_of_several(snap_compare: Compare, tmp_path: Path) -> None:
    app = asking(tmp_path, *VERSIONS)

    async def walked(pilot: Pilot[int]) -> None:
        chat = await ready(app)
        chat.chat.submit(UserMessage("Why does it rain?"))
        await answered(chat)
        for n in (2, 3):
            await pilot.press("ctrl+r")
            await until(lambda n=n: chat.chat.session.branch[-1].content == VERSIONS[n - 1] and not chat.chat.running)
        chat.versions.walk(-1)
        await until(lambda: chat.transcript.last_reply() == VERSIONS[1])
        await until(lambda: "".join(token.text for token in chat.meter.tokens).startswith(VERSIONS[1]))
        chat.versions.count()
        await pilot.pause()

    assert snap_compare(app, terminal_size=(80, 24), run_before=walked)
