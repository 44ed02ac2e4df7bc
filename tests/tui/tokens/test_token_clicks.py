"""A click on a character in the chat: the inspector opens on the very token that brought it."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from textual.events import Click
from textual.pilot import Pilot

from app.config.settings import TraceSettings
from app.domain.conversation import UserMessage
from app.domain.trace import ReplyTrace
from app.tui.app import TokscopeApp
from app.tui.chat.reading import Reading
from app.tui.chat.screen import ChatScreen
from app.tui.inspector.screen import InspectorScreen
from app.tui.transcript.widget import Transcript
from tests.fakes.chat_app import make_app, until
from tests.fakes.engine_events import make_token
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import Reply

SIZE = (80, 24)


async def chatted(app: TokscopeApp, text: str = "why?") -> ChatScreen:
    """The chat with one reply more."""
    await until(lambda: app.screen_of_chat is not None and app.screen_of_chat.loader.ready)
    chat = app.screen_of_chat
    assert chat is not None
    n = len(chat.chat.session.branch)
    chat.chat.submit(UserMessage(text))
    await until(lambda: len(chat.chat.session.branch) == n + 2 and not chat.chat.running)
    return chat


async def cell_of(view: Transcript, text: str, into: int = 0) -> tuple[int, int]:
    """The cell of a character of the first row that shows a text, once there is one; for rows of narrow characters."""

    def found() -> list[tuple[int, int]]:
        rows = [strip.text for strip in view.render_lines(view.size.region)]
        return [(row.find(text) + into, y) for y, row in enumerate(rows) if text in row]

    await until(found)
    return found()[0]


async def at_cell(app: TokscopeApp, pilot: Pilot[int], cell: tuple[int, int]) -> tuple[int, str]:
    """The inspector's token after a click on a cell, its index and text; the inspector is closed again."""
    chat = app.screen_of_chat
    assert chat is not None
    await pilot.click(chat.transcript, offset=cell)
    await until(lambda: isinstance(app.screen, InspectorScreen) and app.screen.flow.cursor >= 0)
    screen = app.screen
    assert isinstance(screen, InspectorScreen)
    token = screen.flow.token
    assert token is not None
    found = screen.flow.cursor, token.text
    await until(lambda: screen.details.shown)
    assert screen.details.shown[0].startswith(f"TOKEN {found[0] + 1} of ")
    await pilot.press("escape")
    await until(lambda: app.screen is chat)
    return found


async def clicked(app: TokscopeApp, pilot: Pilot[int], text: str, into: int = 0) -> tuple[int, str]:
    """The same for a character of a text that can be seen."""
    chat = app.screen_of_chat
    assert chat is not None
    return await at_cell(app, pilot, await cell_of(chat.transcript, text, into))


@pytest.fixture(autouse=True)
def _no_second_click(monkeypatch: pytest.MonkeyPatch) -> None:
    """One click does at once what it does."""
    monkeypatch.setattr(TokscopeApp, "CLICK_CHAIN_TIME_THRESHOLD", 0.001)


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The messages that the chat gets of clicks on text; it does nothing with them."""
    reported: list[tuple[int, int]] = []

    async def hear(_reading: Reading, message_id: int, n_bytes: int) -> None:
        reported.append((message_id, n_bytes))

    monkeypatch.setattr(Reading, "inspect_clicked", hear)
    return reported


async def test_a_click_goes_to_the_token_of_the_character(tmp_path: Path) -> None:
    pieces = ("Rain", " is", " **", "wat", "er", "**", ".\n\n", "- ", "it", " falls\n", "- ", "12", "3\n")
    app = make_app(tmp_path, ScriptedEngine([Reply(pieces=pieces)]))
    async with app.run_test(size=SIZE) as pilot:
        await chatted(app)
        assert await clicked(app, pilot, "Rain") == (0, "Rain")
        assert await clicked(app, pilot, "Rain", 3) == (0, "Rain")
        assert await clicked(app, pilot, "Rain", 4) == (1, " is")
        assert await clicked(app, pilot, "water", 2) == (3, "wat")
        assert await clicked(app, pilot, "water", 3) == (4, "er")
        assert await clicked(app, pilot, "water.", 5) == (6, ".\n\n")
        assert await clicked(app, pilot, "• it") == (7, "- ")
        assert await clicked(app, pilot, "falls") == (9, " falls\n")
        assert await clicked(app, pilot, "123", 2) == (12, "3\n")


async def test_bytes_wide_characters_thinking_code_and_tables(tmp_path: Path) -> None:
    # The bytes of the emoji are three tokens without text, and a fourth that lets it out.
    parts = [replace(make_token(f"<0x{byte:02X}>", 2), n_bytes=0) for byte in "🚀".encode()[:3]]
    before = ("<think>\n", "hm", "\n</think>", "\n\n", "漢", "字 ")
    after = (" x\n\n", "```py\n", "\tif", " y", ":\n", "```\n", "|a", "|b|\n", "|-|-|\n", "|c", " d|", "e", "|\n")
    tokens = [*map(make_token, before), *parts, make_token("🚀"), *map(make_token, after)]
    app = make_app(tmp_path, ScriptedEngine([Reply(tokens=tokens)]))
    async with app.run_test(size=SIZE) as pilot:
        chat = await chatted(app)
        assert await clicked(app, pilot, "hm", 1) == (1, "hm")
        assert await clicked(app, pilot, "</think>") == (2, "\n</think>")
        # Cells: two of the gutter, 漢, 字, a blank, the emoji, a blank.
        for cell, found in ((2, 4), (3, 4), (4, 5), (5, 5), (6, 5), (7, 9), (8, 9), (9, 10), (10, 10)):
            _, row = await cell_of(chat.transcript, "漢")
            assert await at_cell(app, pilot, (cell, row)) == (found, tokens[found].text)
        assert await clicked(app, pilot, "if y") == (12, "\tif")
        assert await clicked(app, pilot, "if y", -1) == (12, "\tif")
        assert await clicked(app, pilot, "if y", 3) == (13, " y")
        assert await clicked(app, pilot, "c d", 2) == (20, " d|")
        assert await clicked(app, pilot, "│ e", 2) == (21, "e")


async def test_a_reply_that_streams_and_one_far_up(tmp_path: Path) -> None:
    engine = ScriptedEngine([Reply(pieces=("one", " two", " **th", "ree", " four", "** five"))], gated=True)
    engine.replies.append(Reply(pieces=tuple(f" word{n}" for n in range(900))))
    app = make_app(tmp_path, engine)
    async with app.run_test(size=SIZE) as pilot:
        await until(lambda: app.screen_of_chat is not None and app.screen_of_chat.loader.ready)
        chat = app.screen_of_chat
        assert chat is not None
        chat.chat.submit(UserMessage("count"))
        await engine.release(5)
        await until(lambda: chat.transcript.last_reply() == "one two **three")
        assert await clicked(app, pilot, "two") == (1, " two")
        assert await clicked(app, pilot, "**three", 3) == (2, " **th")
        assert await clicked(app, pilot, "**three", 4) == (3, "ree")
        assert chat.chat.running
        engine.run_free()
        await until(lambda: not chat.chat.running)
        assert await clicked(app, pilot, "three", 2) == (3, "ree")
        await chatted(app)
        assert await clicked(app, pilot, "word899", 6) == (899, " word899")
        assert app.focused is chat.transcript
        await pilot.press("home")
        await pilot.pause()
        assert await clicked(app, pilot, "two") == (1, " two")
        assert await clicked(app, pilot, "word77", 5) == (77, " word77")


async def test_while_it_streams_the_cursor_stays_on_what_was_clicked(tmp_path: Path) -> None:
    engine = ScriptedEngine(["one two three four"], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=SIZE) as pilot:
        await until(lambda: app.screen_of_chat is not None and app.screen_of_chat.loader.ready)
        chat = app.screen_of_chat
        assert chat is not None
        chat.chat.submit(UserMessage("count"))
        await engine.release(3)
        await until(lambda: chat.transcript.last_reply() == "one two")
        await pilot.click(chat.transcript, offset=await cell_of(chat.transcript, "two"))
        await until(lambda: isinstance(app.screen, InspectorScreen) and app.screen.flow.cursor >= 0)
        screen = app.screen
        assert isinstance(screen, InspectorScreen)
        engine.run_free()
        await until(lambda: screen.flow.n_tokens == 5)
        assert screen.flow.cursor == 1


async def test_a_click_elsewhere_opens_nothing(tmp_path: Path, reported) -> None:
    app = make_app(tmp_path, ScriptedEngine(["one\n\n> two"]))
    async with app.run_test(size=SIZE) as pilot:
        chat = await chatted(app, "what is it?")
        view = chat.transcript
        right_of_it = await cell_of(view, "one", 20)
        below = (2, view.size.height - 1)
        for place in (await cell_of(view, "what"), right_of_it, await cell_of(view, "▎ two"), below):
            await pilot.click(view, offset=place)
        assert view.chosen_reply == chat.chat.session.branch[1].id
        for wrong in ({"button": 3}, {"shift": True}, {"control": True}):
            await pilot.click(view, offset=await cell_of(view, "one"), **wrong)
        await pilot.click(view, offset=await cell_of(view, "one"))
        await until(lambda: reported)
        assert reported == [(chat.chat.session.branch[1].id, 0)]


async def test_a_reply_without_a_trace_is_only_chosen(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(["one", "two"]), trace=TraceSettings(keep=False))
    async with app.run_test(size=SIZE) as pilot:
        await chatted(app)
        chat = await chatted(app)
        asked: list[int] = []
        session = chat.chat.session
        load = session.load_trace

        async def asking(message_id: int) -> ReplyTrace | None:
            asked.append(message_id)
            return await load(message_id)

        session.load_trace = asking
        await pilot.click(chat.transcript, offset=await cell_of(chat.transcript, "one"))
        await until(lambda: asked)
        await pilot.pause()
        assert asked == [session.branch[1].id] == [chat.transcript.chosen_reply]
        assert app.screen is chat
        assert await clicked(app, pilot, "two") == (0, "two")


async def test_two_clicks_select_a_word_and_the_next_one_only_ends_that(tmp_path: Path, reported, monkeypatch) -> None:
    app = make_app(tmp_path, ScriptedEngine(["one two"]))
    async with app.run_test(size=SIZE) as pilot:
        chat = await chatted(app)
        view = chat.transcript
        with monkeypatch.context() as patch:
            patch.setattr(TokscopeApp, "CLICK_CHAIN_TIME_THRESHOLD", 1e6)
            await pilot.double_click(view, offset=await cell_of(view, "two", 1))
        assert chat.get_selected_text() == "two"
        view.chosen_reply = None
        await pilot.click(view, offset=await cell_of(view, "one"))
        assert not chat.get_selected_text()
        assert view.chosen_reply is None
        await pilot.click(view, offset=await cell_of(view, "one", 1))
        await until(lambda: reported)
        assert reported == [(chat.chat.session.branch[1].id, 1)]


async def test_a_drag_selects_even_one_that_comes_back(tmp_path: Path, reported) -> None:
    app = make_app(tmp_path, ScriptedEngine(["one two three"]))
    async with app.run_test(size=SIZE) as pilot:
        chat = await chatted(app)
        view = chat.transcript
        x, y = await cell_of(view, "one")
        await pilot.mouse_down(view, offset=(x, y))
        await pilot.hover(view, offset=(x + 6, y))
        await pilot.mouse_up(view, offset=(x + 6, y))
        await pilot._post_mouse_events([Click], view, offset=(x + 6, y), button=1)
        assert chat.get_selected_text() == "one two"
        await pilot.click(view, offset=(x, y))
        await pilot.mouse_down(view, offset=(x, y))
        await pilot.hover(view, offset=(x + 6, y))
        await pilot.hover(view, offset=(x, y))
        await pilot.mouse_up(view, offset=(x, y))
        await pilot._post_mouse_events([Click], view, offset=(x, y), button=1)
        await pilot.click(view, offset=(x + 4, y))
        await until(lambda: reported)
        assert reported == [(chat.chat.session.branch[1].id, 4)]


async def test_the_mark_still_opens_the_inspector_at_its_beginning(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(["one two"]))
    async with app.run_test(size=SIZE) as pilot:
        await chatted(app)
        assert await clicked(app, pilot, "◆ one") == (0, "one")
