"""The README's moving picture, from a real run: `uv run python -m tests.screenshots.moving`.

A question streams, the reply is held, another token is taken, the reply forks. What several frames share is drawn once,
so that the file stays small.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from itertools import accumulate
from pathlib import Path

from app.tui.versions.fork import ForkWanted
from tests.fakes.chat_app import until
from tests.screenshots.window import FOLDER, Window, opened

QUESTION = "Write a haiku about rain"
SIZE = (80, 24)
_RULE = re.compile(r"\.(terminal-\d+-r\d+) \{ ([^}]*) \}")
_PART = re.compile(r"<rect [^>]*/>|<text [^>]*>.*?</text>", re.DOTALL)
_CLASS = re.compile(r'class="terminal-\d+-r\d+"')
_PLACE = re.compile(r"terminal-\d+")
_INSIDE = re.compile(r'<g transform="[^"]*" clip-path="[^"]*">')
"""Where the terminal's own cells begin, behind the frame of its window."""


class Film:
    """Frames of one window, each with how long it is seen."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._frames: list[tuple[str, float]] = []

    async def take(self, seconds: float) -> None:
        """Keeps what is on the screen now."""
        self._frames.append((await self._window.picture(), seconds))

    def save(self, path: Path) -> None:
        """Writes an SVG whose parts are visible in the frames that show them."""
        seen: defaultdict[str, list[int]] = defaultdict(list)
        for number, (image, _) in enumerate(self._frames):
            styles = {f'class="{name}"': f'style="{rule}"' for name, rule in _RULE.findall(image)}
            for part in _PART.findall(image, _INSIDE.search(image).end()):
                named = _CLASS.sub(lambda match, styles=styles: styles[match[0]], part)
                seen[_PLACE.sub("t", named)].append(number)
        # Text in front of the backgrounds of every frame.
        groups: defaultdict[tuple[bool, tuple[int, ...]], list[str]] = defaultdict(list)
        for part, frames in seen.items():
            groups[part.startswith("<text"), tuple(dict.fromkeys(frames))].append(part)
        first = _PLACE.sub("t", self._frames[0][0])
        frame = _INSIDE.search(first).end()
        ends = [0.0, *accumulate(seconds for _, seconds in self._frames)]
        drawn, rules = [], []
        for n, ((_, frames), parts) in enumerate(sorted(groups.items())):
            drawn.append(f'<g class="f{n}">{"".join(parts)}</g>')
            if len(frames) < len(self._frames):
                shown = ["visible" if i in frames else "hidden" for i in range(len(self._frames))]
                steps = [
                    f"{100 * ends[i] / ends[-1]:.2f}% {{ visibility: {state} }}"
                    for i, state in enumerate(shown)
                    if not i or state != shown[i - 1]
                ]
                rules.append(f"@keyframes k{n} {{ {' '.join(steps)} }}")
                rules.append(f".f{n} {{ visibility: {shown[-1]}; animation: k{n} {ends[-1]:.1f}s step-end infinite }}")
        head = first[:frame].replace("</style>", "\n".join(rules) + "\n</style>")
        path.write_text(f'{head}<g class="t-matrix">{"".join(drawn)}</g></g></svg>', encoding="utf-8")


async def steer(window: Window) -> Film:
    """Asks, holds the reply, takes another token, lets it run on, and forks it."""
    film, state, meter = Film(window), window.chat.step.state, window.chat.meter
    await film.take(1)
    for at in range(0, len(QUESTION), 8):
        await window.pilot.press(*QUESTION[at : at + 8])
        await film.take(0.4)
    await window.pilot.press("f4", "enter")
    await until(lambda: state.paused, 120)
    for n in range(1, 9):
        await film.take(2 if n == 1 else 0.3)
        await window.pilot.press("space")
        await until(lambda n=n: state.paused and state.n_generated == n, 120)
    for seconds in (1, 1.5):
        await film.take(seconds)
        await window.pilot.press("down")
    await film.take(1)
    await window.pilot.press("enter")
    await until(lambda: state.paused and state.n_generated == 9, 120)
    await film.take(2)
    await window.pilot.press("r")
    for n in (12, 16, 20):
        await until(lambda n=n: meter.n_generated >= n or not window.chat.chat.running, 120)
        await film.take(0.4)
    await window.answered()
    await film.take(2)
    session = window.chat.chat.session
    old = session.branch[-1]
    trace = await session.load_trace(old.id)
    assert trace
    at = min(5, len(trace.tokens) - 1)
    other = next(top for top in trace.tokens[at].top if top.id != trace.tokens[at].id)
    window.chat.run(window.chat.forking.fork(ForkWanted(old, at, (other.id,))))
    await until(lambda: session.branch[-1].id != old.id and meter.n_generated > 2, 120)
    await film.take(0.6)
    await window.answered()
    await film.take(3)
    return film


async def main() -> None:
    """Says which picture was made."""
    async with opened(SIZE, "balanced") as window:
        film = await steer(window)
        film.save(FOLDER / "steering.svg")
        print(FOLDER / "steering.svg")


if __name__ == "__main__":
    asyncio.run(main())
