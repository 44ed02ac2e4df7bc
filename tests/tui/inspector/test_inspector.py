"""The inspector on a screen: what it shows of a token, its keys, forks, a reply that is written, one without trace."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from textual import events
from textual.pilot import Pilot

from app.domain.conversation import Message, ReplyState, Role, UserMessage
from app.domain.sampling import Preset
from app.domain.trace import ReplyTrace
from app.session.turn import TurnSettings
from app.tui.app import TokscopeApp
from app.tui.chat.screen import ChatScreen
from app.tui.inspector.screen import InspectorScreen
from app.tui.versions.fork import ForkWanted
from tests.fakes.chat_app import answered, make_app, ready, until
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import reply

SIZE = (80, 24)


class Kept:
    """Traces of two replies, the first of which has none."""

    def __init__(self, trace: ReplyTrace, *, state: ReplyState = ReplyState.DONE) -> None:
        self.settings = TurnSettings(preset=Preset(name="p"))
        self.branch = [
            made(1, Role.USER, "why?"),
            made(2, Role.ASSISTANT, "old"),
            made(3, Role.USER, "and?"),
            made(4, Role.ASSISTANT, "".join(token.text for token in trace.tokens), state),
        ]
        self.traces = {4: trace}

    def trace(self, message_id: int) -> ReplyTrace | None:
        return self.traces.get(message_id)

    async def load_trace(self, message_id: int) -> ReplyTrace | None:
        return self.traces.get(message_id)

    async def versions(self, shown: Sequence[Message]) -> dict[int, list[Message]]:
        return {message.id: [message] for message in shown}


def made(message_id: int, role: Role, content: str, state: ReplyState = ReplyState.DONE) -> Message:
    return Message(
        id=message_id, conversation_id=1, parent_id=None, role=role, content=content, created_ms=0, state=state
    )


async def asked(app: TokscopeApp) -> ChatScreen:
    """The chat with one reply."""
    chat = await ready(app)
    chat.chat.submit(UserMessage("why?"))
    await answered(chat)
    return chat


async def opened(app: TokscopeApp, pilot: Pilot[int], *keys: str) -> InspectorScreen:
    """The inspector, opened by its key, after more keys."""
    await pilot.press("f3")
    await until(lambda: isinstance(app.screen, InspectorScreen) and app.screen.flow.n_tokens)
    await press(pilot, *keys)
    screen = app.screen
    assert isinstance(screen, InspectorScreen)
    return screen


async def press(pilot: Pilot[int], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await pilot.pause()


def rows(screen: InspectorScreen) -> list[str]:
    return [line.rstrip() for line in screen.details.shown]


async def test_a_token_is_reported_with_its_candidates(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(["Rain is water."]))
    async with app.run_test(size=SIZE) as pilot:
        await asked(app)
        screen = await opened(app, pilot, "right", "right")
        assert screen.flow.shown == ["Rain is water.<|im_end|>"]
        assert screen.header.text.strip() == "Inspector · reply 1 of 1 · 4 tokens · seed 42"
        assert [row[:36].rstrip() for row in rows(screen)[:9]] == [
            "TOKEN 3 of 4",
            "text      “␣water.”",
            "bytes     20 77 61 74 65 72 2e",
            "id        102",
            "p         25 %   rank 2",
            "logprob   -1.3863",
            "entropy   2.000 bits",
            "p(end)    0 %",
            "origin    sampled",
        ]
        assert [row[38:].split() for row in rows(screen)[1:4]] == [
            ["␣alt1", "50", "%", "█" * 8],
            ["▶", "␣water.", "25", "%", "█" * 4],
            ["␣alt3", "12", "%", "█" * 2],
        ]
        await press(pilot, "right")
        assert rows(screen)[2][:36].rstrip() == "bytes     none: a control token"
        await press(pilot, "escape")
        assert app.screen is app.screen_of_chat


async def test_keys_go_to_sections_tints_surprises_and_text(tmp_path: Path) -> None:
    # Ranks are 1 1 2 1 3 over and over, p = 2^-rank, the entropy 2 bits: nothing is below 10 %.
    app = make_app(tmp_path, ScriptedEngine(["one two three four five six"]))
    async with app.run_test(size=SIZE) as pilot:
        await asked(app)
        screen = await opened(app, pilot)
        assert rows(screen)[0].startswith("TOKEN 1 of 7")
        await press(pilot, "tab")
        assert rows(screen)[0].startswith("SAMPLER")
        await press(pilot, "tab")
        assert rows(screen)[0].startswith("PROMPT  20 tokens")
        await press(pilot, "tab", "2", "1", "shift+tab")
        assert "▸Prompt" in screen.tabs.text
        await press(pilot, "1", "t")
        assert screen.legend.shown[0].startswith("p  █ ≥50 %")
        await press(pilot, "n")
        assert "no token with p < 10 % or entropy ≥ 3 bits" in screen.header.text
        await press(pilot, "slash", *"thr", "enter")
        assert screen.flow.cursor == 2
        await press(pilot, "slash", *"o", "enter")
        assert screen.flow.cursor == 3
        await press(pilot, "slash", "enter")
        assert screen.flow.cursor == 0
        await press(pilot, "slash", *"xyz", "enter")
        assert screen.flow.cursor == 0
        assert "not found" in screen.header.text


async def test_enter_on_an_alternative_forks_and_so_does_typed_text(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(["Rain is water.", "other", "third"]))
    async with app.run_test(size=SIZE) as pilot:
        chat = await asked(app)
        session = chat.chat.session
        first = session.branch[1]
        await opened(app, pilot)
        await press(pilot, "right", "enter", "down", "enter")
        engine = app.services.engine
        assert isinstance(engine, ScriptedEngine)
        await until(lambda: len(engine.requests) == 2 and not chat.chat.running)
        assert engine.requests[1].reply_ids == (100,)
        assert engine.requests[1].sampling.force == ("#1003",)
        assert session.branch[1].id != first.id
        await opened(app, pilot)
        await press(pilot, "f", "space", *"snow", "enter")
        await until(lambda: len(engine.requests) == 3 and not chat.chat.running)
        assert engine.requests[2].reply_text == " snow"


async def test_the_header_shows_which_version_of_a_reply_it_is(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(["first", "second and last", "more"]))
    async with app.run_test(size=SIZE) as pilot:
        chat = await asked(app)
        await pilot.press("ctrl+r")
        await until(lambda: chat.transcript.last_reply() == "second and last" and not chat.chat.running)
        chat.chat.submit(UserMessage("go on"))
        await until(lambda: len(chat.chat.session.branch) == 4 and not chat.chat.running)
        screen = await opened(app, pilot)
        assert screen.header.text.strip() == "Inspector · reply 2 of 2 · 2 tokens · seed 42"
        await press(pilot, "less_than_sign")
        assert screen.header.text.strip() == "Inspector · reply 1 of 2 · version 2 of 2 · 4 tokens · seed 42"
        await press(pilot, "escape")
        await pilot.press("alt+left")
        await until(lambda: len(chat.chat.session.branch) == 2 and not chat.chat.running)
        screen = await opened(app, pilot)
        assert screen.header.text.strip() == "Inspector · reply 1 of 1 · version 1 of 2 · 2 tokens · seed 42"


async def test_the_token_that_came_is_no_alternative(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(["Rain is water."]))
    async with app.run_test(size=SIZE) as pilot:
        await asked(app)
        screen = await opened(app, pilot, "enter", "up", "enter")
        assert "this is the drawn token" in screen.header.text
        await press(pilot, "escape")
        assert app.screen is screen
        await press(pilot, "escape")
        assert app.screen is app.screen_of_chat


async def test_an_alternative_is_chosen_by_a_click_and_taken_by_two(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(["Rain is water."]))
    results: list[ForkWanted | None] = []
    async with app.run_test(size=SIZE) as pilot:
        chat = await asked(app)
        screen = InspectorScreen(chat.chat.session, None)
        await app.push_screen(screen, results.append)
        await until(lambda: screen.flow.n_tokens and screen.details.shown)
        await pilot.click(screen.details, offset=(50, 3))
        await pilot.pause()
        assert not results
        await pilot.click(screen.details, offset=(50, 3), times=2)
        await until(lambda: results)
        assert results == [ForkWanted(chat.chat.session.branch[1], 0, (1003,))]


async def test_a_reply_is_followed_while_it_is_written(tmp_path: Path) -> None:
    engine = ScriptedEngine([reply("one two three four")], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=SIZE) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("count"))
        await engine.release(3)
        screen = await opened(app, pilot)
        assert (screen.flow.n_tokens, screen.flow.cursor) == (2, 1)
        assert "◉ writing" in screen.header.text
        await engine.release()
        await until(lambda: screen.flow.n_tokens == 3)
        assert screen.flow.cursor == 2
        await press(pilot, "home")
        engine.run_free()
        await until(lambda: screen.flow.n_tokens == 5 and "writing" not in screen.header.text)
        assert screen.flow.cursor == 0
        assert screen.flow.shown == ["one two three four<|im_end|>"]


async def test_the_reply_that_begins_is_shown_until_a_key_is_pressed(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(["one", "two three", "four"]))
    async with app.run_test(size=SIZE) as pilot:
        chat = await asked(app)
        screen = await opened(app, pilot)
        assert screen.flow.shown == ["one<|im_end|>"]
        chat.chat.submit(UserMessage("b"))
        await until(lambda: screen.flow.shown == ["two three<|im_end|>"])
        await press(pilot, "t")
        chat.chat.submit(UserMessage("c"))
        await until(lambda: "reply 2 of 3" in screen.header.text)
        assert screen.flow.shown[0] == "two three<|im_end|>"


async def test_a_burst_of_keys_keeps_its_order(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(["Rain is water."]))
    results: list[ForkWanted | None] = []
    async with app.run_test(size=SIZE):
        chat = await asked(app)
        screen = InspectorScreen(chat.chat.session, None)
        await app.push_screen(screen, results.append)
        await until(lambda: screen.flow.n_tokens)
        for key in ("right", "right", "enter", "up", "enter"):
            app.post_message(events.Key(key, None))
        await until(lambda: results)
        assert results == [ForkWanted(chat.chat.session.branch[1], 2, (1001,))]


async def test_a_reply_without_a_trace_says_why(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(["Rain is water."]))
    async with app.run_test(size=SIZE) as pilot:
        chat = await asked(app)
        trace = chat.chat.session.trace(chat.chat.session.branch[1].id)
        assert trace is not None
        screen = InspectorScreen(Kept(trace), None)
        await app.push_screen(screen)
        await until(lambda: screen.flow.n_tokens)
        assert screen.header.text.strip() == "Inspector · reply 2 of 2 · 4 tokens · seed 42"
        await press(pilot, "less_than_sign")
        assert screen.flow.n_tokens == 0
        assert rows(screen)[0] == "No trace is stored for this reply."
        assert any("[trace] max_mib" in row for row in rows(screen))
        await press(pilot, "enter", "f", "n", "slash", "w", "t", "d", "right", "tab", "tab", "tab")
        assert app.screen is screen
        await press(pilot, "less_than_sign")
        assert "no earlier reply" in screen.header.text
        await press(pilot, "greater_than_sign")
        assert screen.flow.n_tokens == 4


async def test_without_a_reply_there_is_nothing_to_inspect(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine())
    async with app.run_test(size=SIZE) as pilot:
        await ready(app)
        await press(pilot, "f3")
        assert app.screen is app.screen_of_chat


async def test_the_letter_and_the_mark_open_it(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(["first", "second"]))
    async with app.run_test(size=SIZE) as pilot:
        chat = await asked(app)
        chat.chat.submit(UserMessage("again"))
        await until(lambda: len(chat.chat.session.branch) == 4 and not chat.chat.running)
        await pilot.pause()
        lines = [chat.transcript.render_line(y).text for y in range(chat.transcript.size.height)]
        at = next(y for y, text in enumerate(lines) if "first" in text)
        await pilot.click(chat.transcript, offset=(4, at))
        await pilot.pause()
        assert app.screen is chat
        await press(pilot, "i")
        await until(lambda: isinstance(app.screen, InspectorScreen) and any(app.screen.flow.shown))
        assert isinstance(app.screen, InspectorScreen)
        assert app.screen.flow.shown == ["first<|im_end|>"]
        await press(pilot, "escape")
        await pilot.click(chat.transcript, offset=(0, at))
        await until(lambda: isinstance(app.screen, InspectorScreen))


async def test_recording_of_stages_is_a_command(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(["Rain is water."]))
    async with app.run_test(size=SIZE) as pilot:
        chat = await asked(app)
        screen = await opened(app, pilot, "2")
        assert "Press r to record stages from the next reply on." in rows(screen)[1]
        await press(pilot, "r")
        assert chat.chat.session.settings.trace_stages
        assert "stages: recorded from the next reply on" in screen.header.text
        await press(pilot, "escape")
        await chat.run_action("screen.command('record_stages')")
        assert not chat.chat.session.settings.trace_stages
