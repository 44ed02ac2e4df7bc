"""Pictures of the inspector and of the watch panels, from a real run: `uv run python -m tests.screenshots.looking`."""

from __future__ import annotations

import asyncio
from pathlib import Path

from msgspec.structs import replace

from app.tui.inspector.screen import InspectorScreen
from app.tui.watch.screen import WatchScreen
from tests.fakes.chat_app import until
from tests.screenshots.window import SIZES, Window, opened

POEM = "Write a haiku about rain"
TALES = (
    "Go on up to twenty: The 1st bird sat on the roof and sang. The 2nd bird sat on the roof and sang. "
    "The 3rd bird sat on the roof and sang.",
    "Continue this list up to 20: Sheep number 1 jumps over the fence. Sheep number 2 jumps over the fence. "
    "Sheep number 3 jumps over the fence.",
)
"""Replies repeat what stands there, so that n-gram drafts are accepted, and rejected where a number differs."""
N_TOKENS, N_ROUNDS = 120, 4
N_ACCEPTED, N_REJECTED = 4, 1
"""What the picture of speculation has to show, at least."""


async def answer(window: Window, question: str) -> None:
    """Asks, and waits for the end of the reply."""
    session = window.chat.chat.session
    n = len(session.branch)
    await window.pilot.press(*question, "enter")
    await until(lambda: len(session.branch) == n + 2 and not window.chat.chat.running, 300)


async def inspector(window: Window) -> list[Path]:
    """The token, the sampler's decision with its draw, and the prompt of a reply whose stages were recorded."""
    window.chat.chat.session.settings = replace(window.chat.chat.session.settings, trace_stages=True)
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


async def drafted(window: Window) -> None:
    """A reply of `N_TOKENS` with kept and with rejected drafts; whether a draft pays is a matter of time, and of luck.

    So the tales are asked for in turn until there are both. Raises RuntimeError where there never are.
    """
    session = window.chat.chat.session
    sampling = replace(session.settings.preset.sampling, max_tokens=N_TOKENS, ban=("<|im_end|>",))
    session.settings = replace(session.settings, preset=replace(session.settings.preset, sampling=sampling))
    for tale in TALES * N_ROUNDS:
        await answer(window, tale)
        found = window.chat.meter.drafting
        if found.counts.n_accepted >= N_ACCEPTED and found.n_rejected >= N_REJECTED:
            return
    raise RuntimeError(f"no reply of {len(TALES) * N_ROUNDS} had kept and rejected drafts")


async def watch(window: Window) -> list[Path]:
    """Speculation with its ghosts, the latency plot and the spans of the KV-cache, after a second message."""
    window.chat.chat.session.settings = replace(window.chat.chat.session.settings, speculate=True)
    await answer(window, POEM)
    await drafted(window)
    paths: list[Path] = []
    for name, panel in (("speculation", "speculation"), ("latency", "latency"), ("kv-cache", "cache")):
        window.chat.action_command(f"watch_{panel}")
        await until(lambda: isinstance(window.app.screen, WatchScreen) and window.app.screen.is_mounted)
        if panel == "speculation" and isinstance(window.app.screen, WatchScreen):
            window.app.screen.flow.move_to(max(n for n, token in enumerate(window.chat.meter.tokens) if token.ghosts))
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
