"""Step mode: the loop is held, and goes on as the user says."""

from __future__ import annotations

from pathlib import Path

from textual.pilot import Pilot

from app.domain.conversation import ReplyState, UserMessage
from app.protocol.commands import Resume
from app.tui.app import TokscopeApp
from app.tui.chat.screen import ChatScreen
from tests.fakes.chat_app import answered, bar, contents, make_app, ready, reported, until
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import reply

FOUR = "one two three four"


async def held(app: TokscopeApp, pilot: Pilot[int]) -> ChatScreen:
    """A reply that is paused before its first token."""
    chat = await ready(app)
    await pilot.press("f4")
    assert reported(app) == ["The next reply starts paused."]
    assert "step mode" in bar(chat, "header")
    chat.chat.submit(UserMessage("count"))
    await until(lambda: chat.step.state.paused and len(panel(chat)) > 5)  # all of it is laid out
    return chat


def panel(chat: ChatScreen) -> list[str]:
    return [line.rstrip() for line in chat.step_dock.panel.shown]


async def test_the_next_reply_starts_paused_and_everything_says_so(tmp_path: Path) -> None:
    engine = ScriptedEngine([FOUR])
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await held(app, pilot)
        assert engine.requests[0].n_steps == 0
        assert chat.focused is chat.step_dock.panel
        assert not chat.composer.display
        assert "‖ paused" in bar(chat, "header")
        await until(lambda: bar(chat, "keys").startswith("Space token  ↑↓ ⏎ take  t type  b ban  1–9 count  r resume"))
        assert "Esc stop" in bar(chat, "keys")
        assert panel(chat)[0].startswith("STEP token 1 · entropy 2.00 bits")
        assert panel(chat)[2].startswith("▶   1 one")
        assert not chat.step.armed


async def test_one_token_at_a_time_then_at_full_speed(tmp_path: Path) -> None:
    engine = ScriptedEngine([FOUR])
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await held(app, pilot)
        await pilot.press("space")
        await until(lambda: chat.step.state.paused and chat.step.state.n_generated == 1)
        assert chat.transcript.last_reply() == "one"
        await pilot.press("right")
        await until(lambda: chat.step.state.paused and chat.step.state.n_generated == 2)
        assert chat.transcript.last_reply() == "one two"
        await pilot.press("r")
        await answered(chat)
        assert contents(chat) == ["count", FOUR]
        assert [(each.n_steps, each.force_ids) for each in engine.resumed] == [(1, ()), (1, ()), (None, ())]
        await until(lambda: chat.composer.display and chat.focused is chat.composer)
        assert not chat.step_dock.has_class("-shown")
        assert "● ready" in bar(chat, "header")


async def test_a_number_of_tokens(tmp_path: Path) -> None:
    engine = ScriptedEngine([FOUR])
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await held(app, pilot)
        await pilot.press("3")
        await until(lambda: panel(chat)[0].endswith("3▏ tokens: Space"))
        await pilot.press("enter")
        await until(lambda: chat.step.state.paused and chat.step.state.n_generated == 3)
        assert chat.transcript.last_reply() == "one two three"
        assert engine.resumed == [Resume(1, 3)]


async def test_the_alternative_under_the_cursor_is_taken(tmp_path: Path) -> None:
    engine = ScriptedEngine([FOUR])
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await held(app, pilot)
        await pilot.press("down", "down")
        await until(lambda: panel(chat)[4].startswith("▶   3 ␣alt3"))
        await pilot.press("enter")
        await until(lambda: chat.step.state.paused and chat.step.state.n_generated == 1)
        assert chat.transcript.last_reply() == " alt3"
        assert engine.resumed == [Resume(1, 1, (1003,))]


async def test_a_banned_token_is_not_sampled_and_the_distribution_is_reported_anew(tmp_path: Path) -> None:
    engine = ScriptedEngine([FOUR])
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await held(app, pilot)
        await pilot.press("b")
        await until(lambda: chat.step.state.paused and engine.resumed)
        assert engine.resumed == [Resume(1, 0, ban_ids=(100,))]
        await until(lambda: "banned 1: one" in panel(chat)[0])
        await pilot.press("space")
        await until(lambda: chat.step.state.paused and chat.step.state.n_generated == 1)
        assert chat.transcript.last_reply() == " alt2"


async def test_a_ban_is_taken_back_by_the_same_key_and_the_last_one_by_another(tmp_path: Path) -> None:
    engine = ScriptedEngine([FOUR])
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await held(app, pilot)

        async def done(n: int) -> None:
            await until(lambda: chat.step.state.paused and len(engine.resumed) == n)

        for n, keys in enumerate((("b",), ("down", "b"), ("up", "b"), ("u",), ("u",)), 1):
            await pilot.press(*keys)
            await done(min(n, 4))
            if n == 2:
                await until(lambda: "banned 2: one alt2" in panel(chat)[0])
            if n == 3:
                await until(lambda: "banned 1: alt2" in panel(chat)[0])
        assert engine.resumed == [
            Resume(1, 0, ban_ids=(100,)),
            Resume(1, 0, ban_ids=(1002,)),
            Resume(1, 0, unban_ids=(100,)),
            Resume(1, 0, unban_ids=(1002,)),
        ]
        await until(lambda: "banned" not in panel(chat)[0])
        await pilot.press("space")
        await until(lambda: chat.step.state.paused and chat.step.state.n_generated == 1)
        assert chat.transcript.last_reply() == "one"


async def test_typed_text_is_forced_and_then_it_pauses_again(tmp_path: Path) -> None:
    engine = ScriptedEngine([FOUR])
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await held(app, pilot)
        await pilot.press("t")
        await until(lambda: chat.focused is chat.step_dock.line)
        await pilot.press(*"zero b", "enter")
        await until(lambda: chat.step.state.paused and chat.step.state.n_generated == 2)
        assert chat.transcript.last_reply() == "zero b"
        assert chat.focused is chat.step_dock.panel


async def test_escape_leaves_the_line_first_and_then_stops_the_reply(tmp_path: Path) -> None:
    engine = ScriptedEngine([FOUR])
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await held(app, pilot)
        await pilot.press("space")
        await until(lambda: chat.step.state.paused and chat.step.state.n_generated == 1)
        await pilot.press("t", "x", "escape")
        assert chat.focused is chat.step_dock.panel
        assert chat.step.state.paused
        await pilot.press("escape")
        await answered(chat)
        last = chat.chat.session.branch[-1]
        assert (last.content, last.state) == ("one", ReplyState.STOPPED)
        assert chat.composer.display


async def test_a_running_reply_is_paused_at_once_and_let_go(tmp_path: Path) -> None:
    engine = ScriptedEngine([FOUR], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("count"))
        await engine.release(3)
        await pilot.press("f4")
        await until(lambda: chat.step.state.paused)
        assert chat.transcript.last_reply() == "one two"
        assert engine.paused == [1]
        engine.run_free()
        await pilot.press("f4")
        await answered(chat)
        assert contents(chat)[1] == FOUR


async def test_s_in_the_conversation_does_the_same_and_elsewhere_is_a_letter(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine([reply("answer")]))
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("ask"))
        await answered(chat)
        await pilot.press("s")
        assert (chat.composer.text, chat.step.armed) == ("s", False)
        chat.composer.take_draft()
        chat.transcript.focus()
        await pilot.press("s")
        await until(lambda: chat.step.armed)
        assert chat.composer.text == ""
        await pilot.press("s")
        await until(lambda: not chat.step.armed)
        assert reported(app) == ["The next reply starts paused.", "The next reply runs at full speed."]


async def test_what_is_typed_elsewhere_while_a_reply_is_held_is_written(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine([FOUR]))
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await held(app, pilot)
        chat.transcript.focus()
        await pilot.press("x")
        await until(lambda: chat.composer.text == "x" and chat.focused is chat.composer)


async def test_the_keys_go_back_to_where_they_were(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine([FOUR, FOUR]))
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        chat.transcript.focus()
        await pilot.press("s")
        await until(lambda: chat.step.armed)
        chat.chat.submit(UserMessage("ask"))
        await until(lambda: chat.step.state.paused and chat.focused is chat.step_dock.panel)
        await pilot.press("r")
        await answered(chat)
        assert chat.focused is chat.transcript
        chat.composer.focus()
        await pilot.press("f4")
        await until(lambda: chat.step.armed)
        chat.chat.submit(UserMessage("ask"))
        await until(lambda: chat.step.state.paused and chat.focused is chat.step_dock.panel)
        await pilot.press("r")
        await answered(chat, 4)
        assert chat.focused is chat.composer


async def test_a_click_puts_the_cursor_on_a_row_and_a_double_click_takes_it(tmp_path: Path) -> None:
    engine = ScriptedEngine([FOUR])
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await held(app, pilot)
        await pilot.click(chat.step_dock.panel, offset=(10, 1))
        assert panel(chat)[2].startswith("▶")
        await pilot.click(chat.step_dock.panel, offset=(10, 4))
        await until(lambda: panel(chat)[4].startswith("▶   3 ␣alt3"))
        await pilot.click(chat.step_dock.panel, offset=(10, 3), times=2)
        await until(lambda: engine.resumed == [Resume(1, 1, (1002,))])


async def test_the_queue_and_a_new_conversation_are_not_in_the_way(tmp_path: Path) -> None:
    engine = ScriptedEngine([FOUR])
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await held(app, pilot)
        await pilot.press("ctrl+n")
        await until(lambda: not chat.chat.session.branch and not chat.chat.running)
        assert engine.aborted == [1]
        assert chat.composer.display
        assert not chat.step_dock.has_class("-shown")


async def test_text_over_the_candidates_is_written_and_does_not_leave_step_mode(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine([FOUR]))
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await held(app, pilot)
        await pilot.press("x", "Q", "?", "space", "b")
        await until(lambda: chat.composer.text == "xQ? b" and chat.composer.region)
        assert chat.step.state.paused
        assert "Tab candidates" in bar(chat, "keys")
        await pilot.press("tab")
        await until(lambda: chat.focused is chat.step_dock.panel)
        assert "Space token" in bar(chat, "keys")
