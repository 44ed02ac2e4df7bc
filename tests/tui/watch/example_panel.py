"""Adds a panel to the registry, runs the chat, and prints where it is seen, as JSON: `python -m … FOLDER`.

A process of its own, because the commands and the help are made from the registry when they are imported.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from app.tui.panels import registry
from app.tui.panels.panel import Panel, PanelPage, title_line

EXAMPLE = Panel(
    "example",
    "Example",
    "Tokens written so far",
    50,
    lambda figures, width: ((title_line("EXAMPLE", str(figures.meter.n_generated), width),),),
    PanelPage(
        lambda figures, width, height: [((f"The example page counts {figures.meter.n_generated}", "text"),)],
        "the example",
        "Counts the tokens of the reply. It exists in a test alone.",
    ),
)
registry.PANELS = (*registry.PANELS, EXAMPLE)


async def seen(folder: Path) -> dict[str, list[str]]:
    """Returns what each place shows."""
    from app.domain.conversation import UserMessage
    from app.tui.dialogs.help import Help
    from app.tui.dialogs.pickers import Palette
    from app.tui.watch.screen import WatchScreen
    from tests.fakes.chat_app import answered, make_app, ready, until
    from tests.fakes.scripted_engine import ScriptedEngine
    from tests.manual.make import SECTIONS
    from tests.tui.watch.watched import picking

    app = make_app(folder, ScriptedEngine(["one two"]))
    found: dict[str, list[str]] = {"manual": [SECTIONS[name]() for name in ("keys", "panels", "pages")]}
    async with app.run_test(size=(140, 50)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("count"))
        await answered(chat)
        await until(lambda: any(line.startswith("EXAMPLE") for line in chat.panels.shown))
        found["column"] = list(chat.panels.shown)
        chat.action_command("choose_panels")
        picker = await picking(app)
        found["picker"] = [row.title for row in await picker.find("example")]
        await pilot.press("escape")
        await until(lambda: app.screen is chat)
        await pilot.press("ctrl+p")
        await until(lambda: isinstance(app.screen, Palette) and app.screen.highlighted is not None)
        await pilot.press(*"watch the exam")
        palette = app.screen
        assert isinstance(palette, Palette)
        await until(lambda: palette.highlighted is not None and palette.highlighted.title == "Watch the example")
        found["palette"] = ["Watch the example"]
        await pilot.press("enter")
        await until(lambda: isinstance(app.screen, WatchScreen))
        watch = app.screen
        assert isinstance(watch, WatchScreen)
        await until(lambda: bool(watch.page.shown))
        found["page"] = list(watch.page.shown)
        await pilot.press("f1")
        await until(lambda: isinstance(app.screen, Help) and bool(app.screen.query("#help-text")))
        await pilot.pause()
        found["help"] = str(app.screen.query_one("#help-text").render()).splitlines()[:2]
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(seen(Path(sys.argv[1])))))
