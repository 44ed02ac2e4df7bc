"""The real app over the real worker in Textual's headless terminal, and a picture of what it shows."""

from __future__ import annotations

import re
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from textual.pilot import Pilot

from app.client.worker_client import WorkerClient
from app.config.catalogue import load_catalogue
from app.remote.router import RoutingEngine
from app.tui.app import TokscopeApp
from app.tui.chat.screen import ChatScreen
from app.tui.common.options import ChatOptions
from tests.fakes.chat_app import make_app, ready, until

FOLDER = Path(__file__).parent
SIZES = ((80, 24), (140, 40))
_FOREIGN = re.compile(r"@font-face \{.*?\}\s*|<!--.*?-->\s*", re.DOTALL)
"""Rich's web fonts and its signature: the picture must not call anybody."""


class Window:
    """An open chat."""

    def __init__(self, app: TokscopeApp, chat: ChatScreen, pilot: Pilot[int], size: tuple[int, int]) -> None:
        self.app = app
        self.chat = chat
        self.pilot = pilot
        self.size = size

    async def answered(self) -> None:
        """Waits for the end of the reply."""
        await until(lambda: not self.chat.chat.running, 300)

    async def picture(self) -> str:
        """Returns what is on the screen, as SVG."""
        await self.pilot.pause()
        return _FOREIGN.sub("", self.app.export_screenshot(title="tok"))

    async def save(self, name: str) -> Path:
        """Saves what is on the screen."""
        image = await self.picture()
        path = FOLDER / f"{name}-{self.size[0]}x{self.size[1]}.svg"
        path.write_text(image, encoding="utf-8")
        return path


@asynccontextmanager
async def opened(
    size: tuple[int, int], preset: str = "precise", models: str = "", model: str | None = None
) -> AsyncGenerator[Window]:
    """Opens a window of this size; stops what still runs when it is left. `models`: text of a models.toml."""
    with tempfile.TemporaryDirectory() as folder:
        catalogue = Path(folder) / "models.toml"
        catalogue.write_text(models, encoding="utf-8")
        engine = RoutingEngine(WorkerClient(Path(folder) / "engine.log"))
        options = ChatOptions(model=model)
        app = make_app(
            Path(folder),
            engine,
            catalogue=load_catalogue(catalogue),
            theme="graphite",
            preset=preset,
            options=options,
        )
        async with app.run_test(size=size, notifications=True) as pilot:
            chat = await ready(app, 60)
            yield Window(app, chat, pilot, size)
            chat.chat.session.stop()
            await until(lambda: not chat.chat.session.busy, 20)
        await app.close()
