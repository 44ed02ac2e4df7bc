"""The chat over a scripted engine on a real terminal: `python -m tests.fakes.pty_chat FOLDER [REPLY]`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from app.store.store import Store
from app.tui.common.preferences import Preferences
from app.tui.run import drive
from app.tui.terminal import paste
from app.tui.terminal.guard import TerminalGuard
from tests.fakes.chat_app import make_app
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import reply


async def main(folder: Path, text: str = "one two three four") -> int:
    engine = ScriptedEngine([reply(text)], gated=True)
    engine.permit(3)
    store = await Store.open(folder / "conversations.db")
    paste.install()
    with TerminalGuard(kill_engine=lambda: None) as guard:
        return await drive(make_app(folder, engine, store=store, memory=Preferences(folder / "remembered.json")), guard)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:3])))
