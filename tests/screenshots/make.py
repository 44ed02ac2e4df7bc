"""Makes the README's screenshots from a real run: `uv run python -m tests.screenshots.make`.

The real worker and SmolLM2 answer in the real app; only the terminal is Textual's headless one.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from app.session.session import Session
from tests.fakes.chat_app import until
from tests.screenshots.window import SIZES, opened

N_TOKENS = 60
"""Of the second reply, which may go on for long: what the picture waits for."""
QUESTIONS = ("Write a haiku about rain", "Write a list of five tips for a good night's sleep")


def n_tokens(session: Session) -> int:
    """How many tokens of the last reply have come."""
    trace = session.trace(session.branch[-1].id)
    return len(trace.tokens) if trace else 0


async def take(size: tuple[int, int]) -> Path:
    """Asks the questions in a window of this size and saves what is on the screen, the second reply still streaming."""
    async with opened(size) as window:
        session = window.chat.chat.session
        for number, question in enumerate(QUESTIONS, 1):
            await window.pilot.press(*question, "enter")
            if number < len(QUESTIONS):
                await until(lambda at=2 * number: len(session.branch) == at and not session.busy, 120)
        await until(lambda: n_tokens(session) > N_TOKENS or not session.busy, 120)
        return await window.save("chat")


if __name__ == "__main__":
    for size in SIZES:
        print(asyncio.run(take(size)))
