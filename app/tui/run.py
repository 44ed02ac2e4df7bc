"""`run_chat`: everything around the app, from the first look at the terminal to the exit code.

The engine worker is spawned and the first frame drawn before Textual is imported, which takes a quarter of a second.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.client.process import WorkerProcess, spawn
from app.config.catalogue import load_catalogue
from app.config.paths import data_dir, database_file, engine_log_file
from app.config.problems import Problem, summary
from app.config.settings import LoadedSettings, load_presets, load_settings
from app.domain.sampling import Preset
from app.tui.common.options import ChatOptions
from app.tui.common.preferences import Preferences, first_preset
from app.tui.terminal import splash
from app.tui.terminal.background import BackgroundReply, ask
from app.tui.terminal.gate import unsupported_reason, wants_no_color
from app.tui.terminal.guard import TerminalGuard

if TYPE_CHECKING:
    from app.tui.app import TokscopeApp

USAGE = 2
_CLOSE_S = 5.0
"""How long the end may take once the terminal is back."""


def run_chat(options: ChatOptions) -> int:
    """Runs the chat until the user leaves it; returns the process's exit code.

    Raises:
        ConfigError: there is no preset of the name that was asked for.
    """
    if reason := unsupported_reason():
        print(f"tok: {reason}; `tok ask` answers anywhere, in a pipe too.", file=sys.stderr)
        return USAGE
    loaded = load_settings()
    memory = Preferences(data_dir() / "remembered.json")
    preset, notices = first_preset(options.preset, loaded, memory)
    worker = _spawn()
    gc.disable()  # until the first paint: the collector takes a fifth of the imports' time
    before_textual()
    with TerminalGuard(kill_engine=worker.kill if worker else lambda: None) as guard:
        splash.show("Ask anything")
        return asyncio.run(_run(_Start(options, loaded, preset, memory, notices), worker, guard))


def before_textual() -> None:
    """Sets what Textual reads when it is imported."""
    if os.environ.get("TERM_PROGRAM") == "iTerm.app" and "TMUX" not in os.environ:
        # iTerm2 drops text composed by an input method under the kitty keyboard protocol.
        os.environ.setdefault("TEXTUAL_DISABLE_KITTY_KEY", "1")


def _spawn() -> WorkerProcess | None:
    # The chat reports a worker that cannot be started when it loads a model.
    with suppress(OSError):
        return spawn(engine_log_file())
    return None


async def drive(app: TokscopeApp, guard: TerminalGuard) -> int:
    """Runs an app under the terminal's guard, ends what it used and returns the exit code."""
    guard.ask_first(app.leave)
    try:
        await app.run_async()
    finally:
        with suppress(TimeoutError):
            if lost := await asyncio.wait_for(app.close(), _CLOSE_S):
                print(f"tok: {lost}", file=sys.stderr)
    return 128 + guard.signum if guard.signum else app.return_code or 0


@dataclass(frozen=True)
class _Start:
    options: ChatOptions
    loaded: LoadedSettings
    preset: Preset
    memory: Preferences
    notices: tuple[str, ...]


async def _run(start: _Start, worker: WorkerProcess | None, guard: TerminalGuard) -> int:
    # Imported here: Textual takes a quarter of a second, in which the worker starts.
    from app.client.worker_client import WorkerClient
    from app.config.themes import load_themes
    from app.remote.router import RoutingEngine
    from app.store.store import Store
    from app.tui.app import TokscopeApp
    from app.tui.common.services import Services
    from app.tui.terminal import paste

    async def open_store() -> Store:
        return Store(database_file())

    catalogue = load_catalogue()
    terminal = ask() if not wants_no_color() else BackgroundReply(None, "")
    loaded = start.loaded
    services = Services(
        options=start.options,
        settings=loaded.settings,
        presets=load_presets(loaded.settings),
        preset=start.preset,
        catalogue=catalogue,
        engine=RoutingEngine(WorkerClient(engine_log_file(), process=worker)),
        open_store=open_store,
        load_themes=load_themes,
        memory=start.memory,
        notices=(*_notices([*loaded.problems, *catalogue.problems]), *start.notices),
        dark_background=terminal.dark,
        typed=terminal.typed,
    )
    paste.install()
    return await drive(TokscopeApp(services), guard)


def _notices(problems: list[Problem]) -> tuple[str, ...]:
    """Returns one notice for all problems of the configuration."""
    if not problems:
        return ()
    more = f"\nand {len(problems) - 1} more: `tok config check` shows all" if len(problems) > 1 else ""
    return (f"{summary(problems[0])}{more}",)
