"""Makes the README's screenshots from a real run: `uv run python -m tests.screenshots.make`.

The real worker and SmolLM2 answer in the real app; only the terminal is Textual's headless one.
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from pathlib import Path

# Read when Textual is imported: the pictures show true colours wherever they are made.
os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
os.environ.pop("NO_COLOR", None)

from app.client.worker_client import WorkerClient
from app.config.catalogue import load_catalogue
from tests.fakes.chat_app import make_app, until

FOLDER = Path(__file__).parent
QUESTIONS = ("Write a haiku about rain", "Write a list of five tips for a good night's sleep")
SIZES = ((80, 24), (140, 40))

_FOREIGN = re.compile(r"@font-face \{.*?\}\s*|<!--.*?-->\s*", re.DOTALL)
"""Rich's web fonts and its signature: the picture must not call anybody."""


async def take(width: int, height: int) -> Path:
    """Asks the questions in a window of this size and saves what is on the screen, the second reply still streaming."""
    with tempfile.TemporaryDirectory() as folder:
        engine = WorkerClient(Path(folder) / "engine.log")
        app = make_app(Path(folder), engine, catalogue=load_catalogue(), theme="graphite", preset="precise")
        async with app.run_test(size=(width, height)) as pilot:
            await until(lambda: engine.model, 60)
            session = app.screen.chat.session
            for number, question in enumerate(QUESTIONS, 1):
                await pilot.press(*question, "enter")
                if number < len(QUESTIONS):
                    await until(lambda at=2 * number: len(session.branch) == at and not session.busy, 120)
            await until(lambda: len(session.branch[-1].content) > 2 * width or not session.busy, 120)
            await pilot.pause()
            image = _FOREIGN.sub("", app.export_screenshot(title="tok"))
            await pilot.press("escape")
            await until(lambda: not session.busy, 20)
        await app.close()
    path = FOLDER / f"chat-{width}x{height}.svg"
    path.write_text(image, encoding="utf-8")
    return path


if __name__ == "__main__":
    for size in SIZES:
        print(asyncio.run(take(*size)))
