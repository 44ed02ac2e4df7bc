"""Makes the README's screenshots from a real run: `uv run python -m tests.screenshots.make`.

The real worker and SmolLM2 answer in the real app; only the terminal is Textual's headless one.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.fakes.chat_app import until
from tests.screenshots.window import SIZES, opened

QUESTIONS = ("Write a haiku about rain", "Write a list of five tips for a good night's sleep")


async def take(size: tuple[int, int]) -> Path:
    """Asks the questions in a window of this size and saves what is on the screen, the second reply still streaming."""
    async with opened(size) as window:
        session = window.chat.chat.session
        for number, question in enumerate(QUESTIONS, 1):
            await window.pilot.press(*question, "enter")
            if number < len(QUESTIONS):
                await until(lambda at=2 * number: len(session.branch) == at and not session.busy, 120)
        await until(lambda: len(session.branch[-1].content) > 2 * size[0] or not session.busy, 120)
        return await window.save("chat")


if __name__ == "__main__":
    for size in SIZES:
        print(asyncio.run(take(size)))
