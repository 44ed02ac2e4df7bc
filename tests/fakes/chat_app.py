"""Builds a whole chat app over a scripted engine and a store in memory, waits on conditions, reads what is shown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual.geometry import Region
from textual.selection import Selection

from app.client.engine import Engine
from app.config.catalogue import Catalogue
from app.config.settings import Settings, load_presets
from app.config.themes import load_themes
from app.domain.model import ModelSpec
from app.store.store import Store
from app.tui.app import TokscopeApp
from app.tui.chat.screen import ChatScreen
from app.tui.common.options import ChatOptions
from app.tui.common.preferences import Preferences
from app.tui.common.services import Services
from app.tui.widgets.bar import Bar
from tests.fakes.tiny_gguf import write_tiny_gguf


def make_catalogue(folder: Path) -> Catalogue:
    """Two models: one whose file is there, one that is not installed."""
    path = write_tiny_gguf(folder / "tiny.gguf")
    models = {
        "tiny": ModelSpec(name="tiny", title="Tiny Test", source=str(path)),
        "absent": ModelSpec(
            name="absent", title="Absent", source=str(folder / "no.gguf"), install="pip install absent"
        ),
    }
    return Catalogue(models=models, default="tiny", problems=[])


def make_app(
    folder: Path,
    engine: Engine,
    *,
    options: ChatOptions | None = None,
    catalogue: Catalogue | None = None,
    store: Store | None = None,
    store_fails: bool = False,
    notices: tuple[str, ...] = (),
    memory: Preferences | None = None,
    typed: str = "",
    opening: Callable[[], None] = lambda: None,
    **settings: Any,
) -> TokscopeApp:
    """An app to be run with `run_test`; `settings` are those of config.toml, `opening` runs as the store is opened."""
    made = Settings(**settings)
    presets = load_presets(made)

    async def open_store() -> Store:
        opening()
        if store_fails:
            return Store(folder / "tiny.gguf" / "conversations.db")  # a file is no folder
        return store or await Store.in_memory()

    return TokscopeApp(
        Services(
            options=options or ChatOptions(),
            settings=made,
            presets=presets,
            preset=presets[made.preset],
            catalogue=catalogue or make_catalogue(folder),
            engine=engine,
            open_store=open_store,
            load_themes=lambda: load_themes(folder / "themes"),
            memory=memory or Preferences(None),
            notices=notices,
            dark_background=True,
            typed=typed,
        )
    )


async def until(condition: Callable[[], object], timeout_s: float = 15.0) -> None:
    """Returns once `condition` holds; fails the test when it does not within `timeout_s`."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 a condition on widgets has no event to wait for
            await asyncio.sleep(0.002)


async def ready(app: TokscopeApp, timeout_s: float = 15.0) -> ChatScreen:
    """The chat once its model is loaded."""
    await until(lambda: app.screen_of_chat is not None and app.screen_of_chat.loader.ready, timeout_s)
    assert app.screen_of_chat is not None
    return app.screen_of_chat


async def answered(chat: ChatScreen, n_messages: int = 2) -> None:
    """Waits for the end of a turn."""
    await until(lambda: len(chat.chat.session.branch) == n_messages and not chat.chat.running)


def contents(chat: ChatScreen) -> list[str]:
    return [message.content for message in chat.chat.session.branch]


def shown(chat: ChatScreen) -> str:
    """The transcript as it is drawn."""
    selected = chat.transcript.get_selection(Selection(None, None))
    return selected[0] if selected else ""


def drawn(chat: ChatScreen) -> str:
    """What of the transcript is in view, notices included, on one line."""
    strips = chat.transcript.render_lines(Region(0, 0, *chat.transcript.size))
    return " ".join(" ".join(strip.text for strip in strips).split())


def bar(chat: ChatScreen, name: str) -> str:
    return chat.query_one(f"#{name}", Bar).text


def reported(app: TokscopeApp) -> list[str]:
    """The notifications that are on the screen."""
    return [notification.message for notification in app._notifications]  # pyright: ignore[reportPrivateUsage] no other way
