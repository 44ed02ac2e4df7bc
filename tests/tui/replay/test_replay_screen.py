"""A recording in the chat: what it shows, its keys, and that it changes nothing."""

from __future__ import annotations

from pathlib import Path

from app.analysis.recording import Recording
from app.config.paths import data_dir
from app.config.settings import Settings, TraceSettings
from app.domain.generation import FinishReason
from app.tui.common.preferences import Preferences
from app.tui.dialogs.pickers import Palette
from app.tui.inspector.screen import InspectorScreen
from app.tui.replay.app import BorrowedMemory, ReplayApp, make_services
from app.tui.replay.engine import ReplayClock
from app.tui.replay.screen import ReplayScreen
from app.tui.watch.screen import WatchScreen
from tests.fakes.chat_app import reported, until


def make_replay(recording: Recording, speed: float = 0.0) -> tuple[ReplayApp, ReplayClock]:
    clock = ReplayClock(speed)
    settings = Settings(trace=TraceSettings(keep=False))
    return ReplayApp(make_services(recording, clock, settings, Preferences(None)), recording, clock), clock


def screen_of(app: ReplayApp) -> ReplayScreen:
    assert isinstance(app.screen_of_chat, ReplayScreen)
    return app.screen_of_chat


async def begun(app: ReplayApp) -> ReplayScreen:
    await until(lambda: app.screen_of_chat is not None and app.screen_of_chat.meter.seed)
    return screen_of(app)


async def played(app: ReplayApp) -> ReplayScreen:
    await until(lambda: app.screen_of_chat is not None and app.screen_of_chat.meter.finish)
    chat = screen_of(app)
    await until(lambda: not chat.chat.running)
    return chat


def shown(chat: ReplayScreen) -> list[str]:
    return [message.content for message in chat._session.branch]  # pyright: ignore[reportPrivateUsage] what is shown


async def test_it_shows_the_conversation_and_the_recorded_figures(recording: Recording) -> None:
    app, _ = make_replay(recording)
    async with app.run_test(size=(120, 36)):
        chat = await played(app)
        assert shown(chat) == ["One?", "First.", "Two?", "Rain falls down."]
        assert chat.transcript.last_reply() == "Rain falls down."
        meter = chat.meter
        assert (meter.n_prompt, meter.n_cached, meter.n_generated) == (20, 5, 3)
        assert (meter.ttft_ms, meter.decode_ms, meter.prefill_ms) == (25.0, 20.0, 15.0)
        assert (meter.seed, meter.finish_reason) == (42, FinishReason.LENGTH)
        assert chat.state.header.text.startswith("Tiny Test · Q4_1 · precise · One?")
        ended = "■ replay · 0.1 of 0.1 s · at once · run.jsonl · recorded 2026-01-02 03:04 UTC"
        await until(lambda: chat.player.text == ended)
        assert not chat.composer.display
    assert not data_dir().exists()


async def test_space_holds_it_and_plus_and_minus_change_the_speed(recording: Recording) -> None:
    app, clock = make_replay(recording, speed=1 / 64)  # 50 ms become 3.2 s
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await begun(app)
        await pilot.press("space")
        assert clock.held
        assert "‖ held" in chat.player.text
        assert "Space go on" in chat.state.keys.text
        await pilot.press("plus", "plus", "minus")
        assert clock.speed == 1 / 32
        assert "×0.03125" in chat.player.text
        await pilot.press("space")
        assert not clock.held
        await pilot.press(*["plus"] * 11)
        await played(app)
        assert chat.transcript.last_reply() == "Rain falls down."


async def test_escape_stops_it_and_space_plays_it_again(recording: Recording) -> None:
    app, clock = make_replay(recording, speed=1 / 64)
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await begun(app)
        await pilot.press("space", "escape")
        await until(lambda: not chat.chat.running)
        assert chat.meter.finish_reason is FinishReason.ABORT
        clock.speed = 0.0
        assert "Space again" in chat.state.keys.text
        await pilot.press("space")
        await until(lambda: chat.meter.finish_reason is FinishReason.LENGTH)
        await until(lambda: not chat.chat.running)
        assert shown(chat)[-1] == "Rain falls down."


HIDDEN = (
    *("new", "edit", "history", "model", "preset", "rename", "delete", "undo_delete", "clear"),
    *("step", "branches", "rewrite", "continue", "speculate", "record_stages", "restart"),
)


async def test_what_would_change_something_is_hidden(recording: Recording) -> None:
    app, _ = make_replay(recording)
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await played(app)
        before = shown(chat)
        assert [name for name in HIDDEN if chat.keymap.offers(name)] == []
        await pilot.press("ctrl+n", "ctrl+b", "f2", "ctrl+o", "ctrl+s", "f4", "f6", "f9", "s")
        await pilot.pause()
        assert (app.screen, shown(chat), reported(app)) == (chat, before, [])
        await pilot.press("ctrl+p")
        await until(lambda: isinstance(app.screen, Palette))
        assert isinstance(app.screen, Palette)
        offered = {row.id for row in await app.screen.find("")}
        assert "inspect" in offered
        assert not offered.intersection(HIDDEN)


async def test_nothing_is_typed(recording: Recording) -> None:
    app, _ = make_replay(recording)
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await played(app)
        await pilot.press("h", "q", "enter")
        assert (chat.composer.text, len(shown(chat))) == ("", 4)


async def test_a_cut_recording_says_where_it_ends(cut: Recording) -> None:
    app, _ = make_replay(cut)
    async with app.run_test(size=(80, 24)):
        chat = await played(app)
        assert shown(chat)[-1] == "Rain falls"
        assert chat.meter.finish_reason is FinishReason.ERROR
        assert "the recording ends here, at line 6 of run.jsonl" in chat.meter.finish


async def test_the_inspectors_trace_is_there(recording: Recording) -> None:
    app, _ = make_replay(recording)
    async with app.run_test(size=(80, 24)):
        chat = await played(app)
        session = chat._session  # pyright: ignore[reportPrivateUsage] what the inspector asks
        trace = await session.load_trace(session.branch[-1].id)
        assert trace is not None
        assert [token.text for token in trace.tokens] == ["Rain", " falls", " down."]
        assert trace.prompt == recording.prompt


async def test_the_inspector_opens_and_cannot_fork_or_record(recording: Recording) -> None:
    app, _ = make_replay(recording)
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await played(app)
        chat.action_command("inspect")
        await until(lambda: isinstance(app.screen, InspectorScreen) and app.screen.inspection.tokens)
        inspector = app.screen
        assert isinstance(inspector, InspectorScreen)
        before = inspector.inspection.records_stages
        await pilot.press("right", "enter", "down", "enter", "f", "r")
        await pilot.pause()
        assert app.screen is inspector
        assert not inspector.line.has_class("-shown")
        assert inspector.inspection.records_stages == before
        assert "fork" not in inspector.keys.text
        await pilot.press("2")
        assert "record" not in inspector.keys.text
        assert shown(chat)[-1] == "Rain falls down."


async def test_speculation_is_not_turned_on_from_its_page(recording: Recording) -> None:
    app, _ = make_replay(recording)
    async with app.run_test(size=(120, 36)) as pilot:
        chat = await played(app)
        chat.action_command("watch_speculation")
        await until(lambda: isinstance(app.screen, WatchScreen))
        assert isinstance(app.screen, WatchScreen)
        assert "speculation" not in app.screen.hints.text
        await pilot.press("d")
        await pilot.pause()
        assert not chat.watching.setting.speculate
        assert reported(app) == []


async def test_the_panels_know_the_recorded_model_by_its_title(recording: Recording) -> None:
    app, _ = make_replay(recording)
    async with app.run_test(size=(140, 40)):
        chat = await played(app)
        model = chat.panels._model  # pyright: ignore[reportPrivateUsage] what it draws
        assert model is not None
        assert (model.title, model is chat.loader.model) == ("Tiny Test", True)


async def test_what_the_chat_remembers_is_read_and_left_alone(recording: Recording, tmp_path: Path) -> None:
    path = tmp_path / "remembered.json"
    Preferences(path).remember("theme", "abyss", "auto")
    before = path.read_bytes()
    clock = ReplayClock(0.0)
    services = make_services(recording, clock, Settings(), BorrowedMemory(path))
    app = ReplayApp(services, recording, clock)
    async with app.run_test(size=(80, 24)):
        chat = await played(app)
        assert (app.theme, chat.composer.text) == ("abyss", "")
        services.memory.remember("theme", "paper", "auto")
        assert services.memory.recall("theme", "auto") == "paper"
    await app.close()
    assert path.read_bytes() == before
