"""How the chat looks: compared picture by picture. `pytest tests/snapshots --snapshot-update` after a wanted change."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from app.domain.conversation import UserMessage
from app.protocol.events import LoadFailed
from app.tui.app import TokscopeApp
from app.tui.chat.screen import ChatScreen
from app.tui.common.options import ChatOptions
from app.tui.dialogs.picker import Picker
from tests.fakes.chat_app import answered, make_app, ready, until
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import Load, reply

Compare = Callable[..., bool]
Before = Callable[[Pilot[int]], Awaitable[None]]

NARROW, WIDE = (80, 24), (140, 40)
ANSWER = """# Why it rains

Warm air **rises** and cools until its vapour *condenses*:

1. the sun warms the sea
2. vapour rises and cools
3. droplets grow and `fall`

```python
def rain(cloud):
    return [drop for drop in cloud if drop.heavy]
```
"""


def answering(tmp_path: Path, theme: str | None = None) -> TokscopeApp:
    engine = ScriptedEngine([reply(ANSWER, n_prompt=84, n_cached=37)])
    return make_app(tmp_path, engine, options=ChatOptions(theme=theme))


async def opened(pilot: Pilot[int]) -> ChatScreen:
    app = pilot.app
    assert isinstance(app, TokscopeApp)
    chat = await ready(app)
    await pilot.pause()
    return chat


async def asked(pilot: Pilot[int]) -> None:
    chat = await opened(pilot)
    chat.chat.submit(UserMessage("Why does it rain?"))
    await answered(chat)
    await pilot.pause()


def with_dialog(key: str) -> Before:
    async def before(pilot: Pilot[int]) -> None:
        await asked(pilot)
        await pilot.press(key)
        await until(lambda: isinstance(pilot.app.screen, Picker) and pilot.app.screen.highlighted is not None)
        await pilot.pause()

    return before


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["narrow", "wide"])
def test_a_conversation(snap_compare: Compare, tmp_path: Path, size: tuple[int, int]) -> None:
    assert snap_compare(answering(tmp_path), terminal_size=size, run_before=asked)


def test_a_conversation_on_paper(snap_compare: Compare, tmp_path: Path) -> None:
    assert snap_compare(answering(tmp_path, "paper"), terminal_size=WIDE, run_before=asked)


def test_the_first_thing_seen(snap_compare: Compare, tmp_path: Path) -> None:
    assert snap_compare(answering(tmp_path), terminal_size=NARROW, run_before=opened)


def test_commands(snap_compare: Compare, tmp_path: Path) -> None:
    assert snap_compare(answering(tmp_path), terminal_size=NARROW, run_before=with_dialog("ctrl+p"))


def test_presets(snap_compare: Compare, tmp_path: Path) -> None:
    assert snap_compare(answering(tmp_path), terminal_size=WIDE, run_before=with_dialog("ctrl+s"))


def test_no_model(snap_compare: Compare, tmp_path: Path) -> None:
    outcome = LoadFailed("The file is damaged.", "Choose another model with Ctrl+O.")
    app = make_app(tmp_path, ScriptedEngine(loaded=False, loads=[Load(outcome=outcome)]))

    async def before(pilot: Pilot[int]) -> None:
        await until(lambda: app.screen_of_chat is not None and app.screen_of_chat.loader.status.error)
        await pilot.press(*"hi", "enter")
        await pilot.pause()

    assert snap_compare(app, terminal_size=NARROW, run_before=before)


def test_loading(snap_compare: Compare, tmp_path: Path) -> None:
    engine = ScriptedEngine(loaded=False, load_gated=True)
    app = make_app(tmp_path, engine)

    async def before(pilot: Pilot[int]) -> None:
        await until(lambda: app.screen_of_chat is not None and engine.loads)
        await engine.release_load(2)
        await pilot.press(*"Why does it rain?", "enter")
        await until(lambda: app.screen_of_chat is not None and app.screen_of_chat.loader.status.fraction == 0.5)
        await pilot.pause()

    assert snap_compare(app, terminal_size=WIDE, run_before=before)
