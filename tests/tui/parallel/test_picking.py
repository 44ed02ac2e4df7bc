"""Several replies as they stream, at once or as tabs; one is picked, and the conversation continues from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.domain.conversation import ReplyState, Role
from app.tui.dialogs.help import Help
from app.tui.parallel.column import Column
from tests.fakes.chat_app import contents, make_app, ready, shown, until
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import reply
from tests.tui.parallel.planning import all_done, line, planned, siblings, texts

FOUR = ("one two three", "uno dos tres", "eins zwei drei", "un deux trois")


async def test_four_stream_side_by_side_one_is_picked_and_the_conversation_goes_on_with_it(tmp_path: Path) -> None:
    engine = ScriptedEngine([*FOUR, "and on"], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(140, 40)) as pilot:
        chat = await ready(app)
        await pilot.press(*"count")
        screen = await planned(app, pilot)
        await engine.release(4)
        assert texts(screen) == ["", "", "", ""]
        assert line(screen, "together").endswith("◉ 4 replying")
        await engine.release(4)
        assert texts(screen) == ["one", "uno", "eins", "un"]
        await engine.release(4)
        assert texts(screen) == ["one two", "uno dos", "eins zwei", "un deux"]
        tops = {column.region.y for column in screen.query(Column)}
        assert len(tops) == 1
        engine.run_free()
        await all_done(screen)
        assert texts(screen) == list(FOUR)
        await pilot.press("3")
        await until(lambda: contents(chat) == ["count", "eins zwei drei"] and not chat.chat.running)
        assert app.screen is chat
        assert await siblings(chat) == list(FOUR)
        await pilot.press(*"on", "enter")
        await until(lambda: contents(chat) == ["count", "eins zwei drei", "on", "and on"] and not chat.chat.running)
        sent = [(message.role, message.content) for message in engine.requests[-1].messages]
        assert sent == [(Role.USER, "count"), (Role.ASSISTANT, "eins zwei drei"), (Role.USER, "on")]


async def test_further_replies_join_the_others_and_each_that_is_picked_in_turn_is_gone_on_with(tmp_path: Path) -> None:
    more = ("hai", "ni", "san", "yon")
    engine = ScriptedEngine([*FOUR, *more])
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(140, 40)) as pilot:
        chat = await ready(app)
        await pilot.press(*"count")
        await all_done(await planned(app, pilot))
        await pilot.press("2")
        await until(lambda: contents(chat) == ["count", FOUR[1]] and not chat.chat.running)
        screen = await planned(app, pilot)
        await all_done(screen)
        assert texts(screen) == list(more)
        await pilot.press("4")
        await until(lambda: contents(chat) == ["count", "yon"] and not chat.chat.running)
        assert await siblings(chat) == [*FOUR, *more]
        await until(lambda: "‹ 8/8 ›" in shown(chat))
        for content, place in (("san", 7), ("ni", 6)):
            await pilot.press("alt+left")
            await until(lambda content=content: contents(chat) == ["count", content])
            await until(lambda place=place: f"‹ {place}/8 ›" in shown(chat))
        assert [len(request.messages) for request in engine.requests] == [1] * 8


async def test_another_one_picked_after_one_that_is_awaited_closes_one_screen_only(tmp_path: Path) -> None:
    engine = ScriptedEngine([reply("one"), reply("uno dos tres")], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(140, 40)) as pilot:
        chat = await ready(app)
        await pilot.press(*"count")
        screen = await planned(app, pilot, "2")
        for expected in (["", ""], ["one", "uno"]):
            await engine.release(2)
            assert texts(screen) == expected
        await until(lambda: (first := screen.replies[0]) is not None and first.state is ReplyState.DONE)
        await pilot.press("2")
        assert screen.picked == 1
        assert app.screen is screen
        await pilot.press("1")
        await until(lambda: contents(chat) == ["count", "one"] and not chat.chat.running)
        assert app.screen is chat
        assert screen.picked is None


async def test_the_one_that_is_awaited_may_change(tmp_path: Path) -> None:
    engine = ScriptedEngine(FOUR, gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(140, 40)) as pilot:
        chat = await ready(app)
        await pilot.press(*"count")
        screen = await planned(app, pilot)
        await engine.release(8)
        await pilot.press("2")
        assert (screen.picked, screen.current) == (1, 1)
        await pilot.press("4")
        assert (screen.picked, screen.current) == (3, 3)
        assert "★ continues with 4 when it is complete" in line(screen, "parallel-keys")
        assert [("★" in column.title_bar.text) for column in screen.query(Column)] == [False, False, False, True]
        engine.run_free()
        await until(lambda: contents(chat) == ["count", FOUR[3]] and not chat.chat.running)
        assert (await siblings(chat))[3] == FOUR[3]


async def test_a_number_without_a_reply_picks_nothing(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(FOUR))
    async with app.run_test(size=(140, 40)) as pilot:
        await ready(app)
        await pilot.press(*"count")
        screen = await planned(app, pilot)
        await all_done(screen)
        await pilot.press("5", "0", "f6")
        assert app.screen is screen
        assert screen.picked is None


async def test_tabs_stream_too_and_one_is_picked_by_its_number(tmp_path: Path) -> None:
    engine = ScriptedEngine(FOUR, gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        await pilot.press(*"count")
        screen = await planned(app, pilot)
        await engine.release(8)
        seen = [column for column in screen.query(Column) if column.display]
        assert [column.number for column in seen] == [1]
        await until(lambda: seen[0].transcript.last_reply() == "one")
        await pilot.press("right")
        # A tab that was not seen shows all that has come as soon as it is.
        assert [column.number for column in screen.query(Column) if column.display] == [2]
        assert list(screen.query(Column))[1].transcript.last_reply() == "uno"
        await engine.release(4)
        await until(lambda: list(screen.query(Column))[1].transcript.last_reply() == "uno dos")
        await pilot.press("4")
        assert (screen.picked, screen.current) == (3, 3)
        assert "▶4★" in line(screen, "tabs")
        engine.run_free()
        await until(lambda: contents(chat) == ["count", FOUR[3]] and not chat.chat.running)
        assert len(await siblings(chat)) == 4
        await until(lambda: "‹ 4/4 ›" in shown(chat))


async def test_an_awaited_one_is_gone_on_with_as_it_ends_and_what_the_others_had_is_kept(tmp_path: Path) -> None:
    engine = ScriptedEngine([reply("one two"), reply("uno dos tres cuatro")], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(140, 40)) as pilot:
        chat = await ready(app)
        await pilot.press(*"count")
        screen = await planned(app, pilot, "2")
        await engine.release(2)
        await engine.release(2)
        assert texts(screen) == ["one", "uno"]
        await pilot.press("1")
        assert not engine.aborted
        engine.permit(2)
        await until(lambda: contents(chat) == ["count", "one two"] and not chat.chat.running)
        assert await siblings(chat) == ["one two", "uno dos"]
        session = chat.chat.session
        versions = (await session.versions(session.branch))[session.branch[-1].id]
        assert [message.state for message in versions] == [ReplyState.DONE, ReplyState.STOPPED]


@pytest.mark.parametrize("by_itself", [True, False])
async def test_an_awaited_one_that_ends_under_the_help_is_gone_on_with_when_the_help_closes(
    tmp_path: Path, by_itself: bool
) -> None:
    """As its own end, and as that of all: both are distinct."""
    engine = ScriptedEngine([reply("one two"), reply("uno dos tres cuatro")], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(140, 40)) as pilot:
        chat = await ready(app)
        await pilot.press(*"count")
        screen = await planned(app, pilot, "2")
        await engine.release(4)
        await pilot.press("1", "f1")
        await until(lambda: isinstance(app.screen, Help))
        if by_itself:
            engine.permit(3)
            await until(lambda: (first := screen.replies[0]) is not None and first.state is ReplyState.DONE)
            assert screen.running
        else:
            engine.run_free()
            await all_done(screen)
        assert (screen.picked, isinstance(app.screen, Help)) == (0, True)
        await pilot.press("escape")
        await until(lambda: contents(chat) == ["count", "one two"] and not chat.chat.running)
        assert app.screen is chat


async def test_one_that_is_still_written_when_the_help_closes_is_awaited_on(tmp_path: Path) -> None:
    engine = ScriptedEngine([reply("one two"), reply("uno dos")], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(140, 40)) as pilot:
        chat = await ready(app)
        await pilot.press(*"count")
        screen = await planned(app, pilot, "2")
        await engine.release(4)
        await pilot.press("2", "left", "f1")
        await until(lambda: isinstance(app.screen, Help))
        await pilot.press("escape")
        await until(lambda: app.screen is screen)
        await pilot.pause()
        assert (screen.picked, screen.current, app.screen) == (1, 0, screen)
        engine.run_free()
        await until(lambda: contents(chat) == ["count", "uno dos"] and not chat.chat.running)
