"""Pictures of steering, from a real run: `uv run python -m tests.screenshots.steering`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

from textual.widgets._toast import Toast

from app.tui.parallel.column import Column
from app.tui.parallel.plan import PlanDialog
from app.tui.parallel.screen import ParallelScreen
from app.tui.versions.fork import ForkWanted
from tests.fakes.chat_app import until
from tests.screenshots.window import SIZES, Window, opened

N_STEPS = 9
N_TOKENS = 24


async def step_mode(window: Window) -> Path:
    """A reply that is held after a few tokens, the cursor on the second alternative."""
    await window.pilot.press("f4", *"Write a haiku about rain", "enter")
    state = window.chat.step.state
    await until(lambda: window.chat.step.state.paused, 120)
    await window.pilot.press(str(N_STEPS), "space")
    await until(lambda: state.paused and state.n_generated == N_STEPS, 120)
    await window.pilot.press("down")
    return await window.save("step-mode")


async def branches(window: Window) -> Path:
    """Four replies to one message while they stream."""
    window.chat.composer.insert("Write the first sentence of a novel")
    await window.pilot.press("f6")
    await until(lambda: isinstance(window.app.screen, PlanDialog) and window.app.screen.is_mounted)
    await window.pilot.press("4", "enter")
    await until(lambda: isinstance(window.app.screen, ParallelScreen) and window.app.screen.is_mounted)
    screen = window.app.screen
    assert isinstance(screen, ParallelScreen)
    meters = [column.reply.meter for column in screen.query(Column)]
    await until(lambda: min(meter.n_generated for meter in meters) >= N_TOKENS or not screen.running, 300)
    path = await window.save("branches")
    window.chat.chat.session.stop()
    await until(lambda: not screen.running, 60)
    await window.pilot.press("1")
    await window.answered()
    return path


async def fork(window: Window) -> Path:
    """A reply that was forked at its sixth token, with what was reused."""
    session = window.chat.chat.session
    await window.pilot.press(*"Name three colours of the sea", "enter")
    await until(lambda: len(session.branch) == 2 and not session.busy, 300)
    old = session.branch[-1]
    trace = await session.load_trace(old.id)
    assert trace is not None
    other = next(top for top in trace.tokens[5].top if top.id != trace.tokens[5].id)
    window.chat.run(window.chat.forking.fork(ForkWanted(old, 5, (other.id,))))
    await until(lambda: len(window.app.screen.query(Toast)), 60)
    await until(lambda: window.chat.meter.n_generated >= N_TOKENS // 2 or not session.busy, 300)
    return await window.save("fork")


async def take() -> AsyncGenerator[Path]:
    """Takes every scene in every size, each in a chat of its own."""
    for scene in (step_mode, branches, fork):
        for size in SIZES:
            async with opened(size, "balanced") as window:
                yield await scene(window)


async def main() -> None:
    """Says which pictures were made."""
    async for path in take():
        print(path)


if __name__ == "__main__":
    asyncio.run(main())
