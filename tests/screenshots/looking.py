"""Pictures of the inspector and of the watch panels, from a real run: `uv run python -m tests.screenshots.looking`."""

from __future__ import annotations

import asyncio
from pathlib import Path

from app.tui.screens.inspector import InspectorScreen
from app.tui.screens.watch import WatchScreen
from tests.fakes.chat_app import until
from tests.screenshots.window import SIZES, Window, opened

POEM = "Write a haiku about rain"
PASSAGE = (
    "The keeper lit the lamp at dusk. The ships came home by its light. In the morning the keeper put out the lamp. "
    "Copy this passage three times, word for word."
)
"""A reply to it repeats what stands there, so that n-gram drafts are accepted, and rejected where it departs."""


async def answer(window: Window, question: str) -> None:
    """Asks, and waits for the end of the reply."""
    session = window.chat.chat.session
    n = len(session.branch)
    await window.pilot.press(*question, "enter")
    await until(lambda: len(session.branch) == n + 2 and not window.chat.chat.running, 300)


async def inspector(window: Window) -> list[Path]:
    """The token, the sampler's decision with its draw, and the prompt of a reply whose stages were recorded."""
    window.chat.chat.session.trace_stages = True
    await answer(window, POEM)
    await window.pilot.press("f3")
    await until(lambda: isinstance(window.app.screen, InspectorScreen) and window.app.screen.is_mounted)
    await window.pilot.pause()
    await window.pilot.press("home", *["right"] * 5, "t")
    paths = [await window.save("inspector")]
    for key, name in (("2", "sampler"), ("3", "prompt")):
        await window.pilot.press(key)
        paths.append(await window.save(name))
    return paths


async def watch(window: Window) -> list[Path]:
    """Speculation with its ghosts, the latency plot and the spans of the KV-cache, after a second message."""
    window.chat.chat.session.speculate = True
    await answer(window, POEM)
    await answer(window, PASSAGE)
    paths: list[Path] = []
    for name, panel in (("speculation", "speculation"), ("latency", "latency"), ("kv-cache", "cells")):
        window.chat.action_watch(panel)
        await until(lambda: isinstance(window.app.screen, WatchScreen) and window.app.screen.is_mounted)
        paths.append(await window.save(name))
        await window.pilot.press("escape")
        await until(lambda: window.app.screen is window.chat)
    return paths


async def main() -> None:
    """Takes every scene in every size, each in a chat of its own, and says which pictures were made."""
    for scene, preset in ((inspector, "balanced"), (watch, "deterministic")):
        for size in SIZES:
            async with opened(size, preset) as window:
                for path in await scene(window):
                    print(path)


if __name__ == "__main__":
    asyncio.run(main())
