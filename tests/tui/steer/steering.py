"""What the tests of steering share."""

from __future__ import annotations

from textual.selection import Selection

from app.tui.app import TokscopeApp
from app.tui.screens.chat import ChatScreen
from app.tui.widgets.bar import Bar
from tests.fakes.chat_app import until


async def ready(app: TokscopeApp) -> ChatScreen:
    """The chat once its model is loaded."""
    await until(lambda: app.screen_of_chat is not None and app.screen_of_chat.loader.ready)
    assert app.screen_of_chat is not None
    return app.screen_of_chat


def bar(chat: ChatScreen, name: str) -> str:
    return chat.query_one(f"#{name}", Bar).text


def shown(chat: ChatScreen) -> str:
    """The transcript as it is drawn."""
    selected = chat.transcript.get_selection(Selection(None, None))
    return selected[0] if selected else ""


def told(app: TokscopeApp) -> list[str]:
    return [notification.message for notification in app._notifications]  # pyright: ignore[reportPrivateUsage] no other way


def contents(chat: ChatScreen) -> list[str]:
    return [message.content for message in chat.chat.session.branch]


async def answered(chat: ChatScreen, n_messages: int = 2) -> None:
    """Waits for the end of a turn."""
    await until(lambda: len(chat.chat.session.branch) == n_messages and not chat.chat.running)
