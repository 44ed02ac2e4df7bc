"""What the tests of several replies at once share."""

from __future__ import annotations

from textual.pilot import Pilot

from app.tui.app import TokscopeApp
from app.tui.chat.screen import ChatScreen
from app.tui.parallel.column import Column
from app.tui.parallel.plan import PlanDialog
from app.tui.parallel.screen import ParallelScreen
from app.tui.widgets.bar import Bar
from tests.fakes.chat_app import until
from tests.fakes.scripted_engine import ScriptedEngine


async def planned(app: TokscopeApp, pilot: Pilot[int], *keys: str) -> ParallelScreen:
    """The replies on their way, after these keys in the dialog."""
    engine = app.services.engine
    assert isinstance(engine, ScriptedEngine)
    n_before = len(engine.requests)
    await pilot.press("f6")
    await until(lambda: isinstance(app.screen, PlanDialog) and app.screen.is_mounted)
    await pilot.press(*keys, "enter")
    await until(lambda: isinstance(app.screen, ParallelScreen) and app.screen.is_mounted)
    screen = app.screen
    assert isinstance(screen, ParallelScreen)
    await until(lambda: len(engine.requests) == n_before + len(screen.query(Column)))
    return screen


def texts(screen: ParallelScreen) -> list[str]:
    for column in screen.query(Column):
        column.flush()
    return [column.transcript.last_reply() for column in screen.query(Column)]


def line(screen: ParallelScreen, name: str) -> str:
    return screen.query_one(f"#{name}", Bar).text


async def all_done(screen: ParallelScreen) -> None:
    await until(lambda: not screen.running)


async def siblings(chat: ChatScreen) -> list[str]:
    session = chat.chat.session
    return [message.content for message in (await session.versions(session.branch))[session.branch[-1].id]]
