"""The application around a replay, what stands in for engine, store and catalogue, and how it is run."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import ClassVar

from msgspec.structs import replace

from app.analysis.recording import Recording
from app.config.catalogue import Catalogue
from app.config.paths import data_dir
from app.config.settings import Settings, TraceSettings, load_settings
from app.config.themes import load_themes
from app.domain.conversation import Role
from app.domain.sampling import Preset
from app.domain.text import one_line
from app.models.locate import LocatedModel
from app.session.session import Session
from app.store.store import Store
from app.tui.app import TokscopeApp
from app.tui.common.keymap import Keymap
from app.tui.common.options import ChatOptions
from app.tui.common.preferences import Preferences
from app.tui.common.services import Services
from app.tui.common.theme_manager import ThemeManager
from app.tui.replay.engine import ReplayClock, ReplayEngine
from app.tui.replay.screen import ReplayScreen
from app.tui.run import USAGE, before_textual, drive
from app.tui.terminal import splash
from app.tui.terminal.background import BackgroundReply, ask
from app.tui.terminal.gate import unsupported_reason, wants_no_color
from app.tui.terminal.guard import TerminalGuard


class BorrowedMemory(Preferences):
    """What the chat remembers, read and never changed: what was chosen here is forgotten with the replay."""

    def _write(self) -> None:
        pass


class ReplayApp(TokscopeApp):
    """Run it with `run_replay`; in a test with `run_test`."""

    CSS_PATH = "../app.tcss"
    TITLE: ClassVar[str] = "tokscope replay"

    def __init__(self, services: Services, recording: Recording, clock: ReplayClock) -> None:
        super().__init__(services)
        self._recording = recording
        self._clock = clock

    def make_chat(self, session: Session, keymap: Keymap, themes: ThemeManager) -> ReplayScreen:
        """The chat as a player."""
        return ReplayScreen(self, self.services, session, keymap, themes, self._recording, self._clock)


def make_services(
    recording: Recording,
    clock: ReplayClock,
    settings: Settings,
    memory: Preferences,
    *,
    theme: str | None = None,
    dark: bool | None = None,
) -> Services:
    """The floors below a replay: a store in memory that holds the conversation so far, and no model."""
    system = next((message.content for message in recording.messages if message.role is Role.SYSTEM), None)
    preset = Preset(name=recording.preset, system=system, sampling=recording.sampling)

    async def open_store() -> Store:
        store = await Store.in_memory()
        said = [message for message in recording.messages[:-1] if message.role is not Role.SYSTEM]
        if said:
            conversation = await store.create_conversation(one_line(said[0].content, 60))
            parent_id = None
            for message in said:
                parent_id = (await store.add_message(conversation.id, parent_id, message.role, message.content)).id
        return store

    return Services(
        options=ChatOptions(theme=theme),
        settings=replace(settings, trace=TraceSettings(keep=True)),  # in memory, for the inspector
        presets={preset.name: preset},
        preset=preset,
        catalogue=Catalogue(models={}, default="", problems=[]),
        engine=ReplayEngine(recording, clock),
        open_store=open_store,
        load_themes=load_themes,
        memory=memory,
        dark_background=dark,
        recorded=LocatedModel(
            name=recording.model.name,
            title=one_line(recording.model.title),
            path=Path(recording.model.ready.path),
            options=recording.model.options,
        ),
    )


def run_replay(recording: Recording, *, speed: float, theme: str | None) -> int:
    """Plays it until the user leaves; returns the process's exit code. A speed of 0 shows all at once."""
    if reason := unsupported_reason():
        print(f"tok: {reason}; `tok replay --verify` and `tok export trace` work without.", file=sys.stderr)
        return USAGE
    before_textual()
    with TerminalGuard(kill_engine=lambda: None) as guard:
        splash.show("")
        return asyncio.run(_run(recording, speed, theme, guard))


async def _run(recording: Recording, speed: float, theme: str | None, guard: TerminalGuard) -> int:
    pass
    from app.tui.replay.engine import ReplayClock
    from app.tui.terminal import paste

    terminal = ask() if not wants_no_color() else BackgroundReply(None, "")
    clock = ReplayClock(speed)
    memory = BorrowedMemory(data_dir() / "remembered.json")
    services = make_services(recording, clock, load_settings().settings, memory, theme=theme, dark=terminal.dark)
    paste.install()
    return await drive(ReplayApp(services, recording, clock), guard)
