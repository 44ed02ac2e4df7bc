"""Hostile text in input fields: seen, and never sent on to the terminal."""

import pytest
from textual import events
from textual.app import App, ComposeResult

from app.tui.widgets.entry import LineInput, TextInput

HOSTILE = "a\x1b]0;x\x07\x9b31m\u202eb"
SHOWN = "a␛]0;x␇⟨U+009B⟩31m⟨U+202E⟩b"


class Fields(App[None]):
    def compose(self) -> ComposeResult:
        yield LineInput("\u202evalue")
        yield TextInput("")


@pytest.fixture
async def fields():
    app = Fields()
    async with app.run_test() as pilot:
        await pilot.pause()
        yield app, pilot


async def test_a_line_shows_what_was_pasted_and_the_cursor_is_behind_it(fields):
    app, pilot = fields
    line = app.query_one(LineInput)
    assert line.value == "⟨U+202E⟩value"
    line.value = ""
    line.post_message(events.Paste(HOSTILE))
    await pilot.pause()
    assert (line.value, line.cursor_position) == (SHOWN, len(SHOWN))
    line.replace("\x9b", 0, 1)
    assert line.value == "⟨U+009B⟩" + SHOWN[1:]


async def test_a_text_shows_what_was_pasted(fields):
    app, pilot = fields
    area = app.query_one(TextInput)
    area.focus()
    await pilot.pause()
    app.post_message(events.Paste(f"{HOSTILE}\n{HOSTILE}"))
    await pilot.pause()
    assert area.text == f"{SHOWN}\n{SHOWN}"
