"""`run_replay`: plays a recording on this terminal. No engine is started."""

from __future__ import annotations

import asyncio
import sys

from app.analysis.recording import Recording
from app.config.paths import data_dir
from app.config.settings import load_settings
from app.tui.run import USAGE, before_textual, drive
from app.tui.terminal import splash
from app.tui.terminal.background import Answer, ask
from app.tui.terminal.gate import wants_no_color, why_not
from app.tui.terminal.guard import TerminalGuard


def run_replay(recording: Recording, *, speed: float, theme: str | None) -> int:
    """Plays it until the user leaves; returns the process's exit code. A speed of 0 shows all at once."""
    if reason := why_not():
        print(f"tok: {reason}; `tok replay --verify` and `tok export trace` work without.", file=sys.stderr)
        return USAGE
    before_textual()
    with TerminalGuard(kill_engine=lambda: None) as guard:
        splash.show("")
        return asyncio.run(_run(recording, speed, theme, guard))


async def _run(recording: Recording, speed: float, theme: str | None, guard: TerminalGuard) -> int:
    from app.tui.replay.app import BorrowedMemory, ReplayApp, make_services
    from app.tui.replay.clock import ReplayClock
    from app.tui.terminal import paste

    terminal = ask() if not wants_no_color() else Answer(None, "")
    clock = ReplayClock(speed)
    memory = BorrowedMemory(data_dir() / "remembered.json")
    services = make_services(recording, clock, load_settings().settings, memory, theme=theme, dark=terminal.dark)
    paste.install()
    return await drive(ReplayApp(services, recording, clock), guard)
