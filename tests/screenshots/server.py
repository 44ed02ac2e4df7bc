"""Makes pictures of a chat with llama.cpp's own server: `uv run python -m tests.screenshots.server`.

The server is built from the source of the pinned package (`tests.bench.llama_server`), which takes a minute once.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.bench.llama_server import Server, build
from tests.fakes.chat_app import until
from tests.fakes.smollm2 import smollm2_path
from tests.screenshots.make import N_TOKENS, QUESTIONS, n_tokens
from tests.screenshots.window import SIZES, opened


async def take(size: tuple[int, int], url: str) -> Path:
    """Asks the questions in a window of this size and saves what is on the screen, the second reply still streaming."""
    models = f'[models.big]\nsource = "openai:{url}#smollm2"\n'
    async with opened(size, models=models, model="big") as window:
        session = window.chat.chat.session
        for number, question in enumerate(QUESTIONS, 1):
            await window.pilot.press(*question, "enter")
            if number < len(QUESTIONS):
                await until(lambda at=2 * number: len(session.branch) == at and not session.busy, 120)
        await until(lambda: n_tokens(session) > N_TOKENS or not session.busy, 120)
        return await window.save("server")


if __name__ == "__main__":
    with Server(build(), smollm2_path(), n_threads=2, n_slots=2, n_ctx=4096) as server:
        for size in SIZES:
            print(asyncio.run(take(size, server.url)))
