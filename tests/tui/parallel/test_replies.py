"""Several replies at once: the plan, the columns or tabs, and the one that is picked."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from textual.selection import Selection

from app.domain.conversation import ReplyState, UserMessage
from app.domain.generation import CellSpan, FinishReason
from app.protocol.commands import Generate
from app.protocol.events import GenerationEvent
from app.tui.parallel.column import Column, ParallelCells
from app.tui.parallel.plan import PlanDialog
from tests.fakes.chat_app import answered, contents, make_app, ready, reported, shown, until
from tests.fakes.engine_events import make_finished
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import Reply, reply
from tests.tui.parallel.planning import all_done, line, planned, siblings, texts


class Refusing(ScriptedEngine):
    """Refuses every prompt as too long."""

    async def generate(self, command: Generate) -> AsyncGenerator[GenerationEvent]:
        self.requests.append(command)
        yield make_finished(command.request_id, FinishReason.CONTEXT, n_prompt=9000, error="the prompt has 9000 tokens")


TEXTS = ("one", "uno two", "eins zwei drei", "un")


async def test_what_is_in_the_composer_is_answered_four_times_and_one_is_picked(tmp_path: Path) -> None:
    engine = ScriptedEngine(TEXTS)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(140, 40)) as pilot:
        chat = await ready(app)
        await pilot.press(*"count")
        screen = await planned(app, pilot)
        await all_done(screen)
        assert texts(screen) == list(TEXTS)
        seeds = [request.sampling.seed for request in engine.requests]
        assert len(seeds) == 4
        assert all(seed == (seeds[0] or 0) + n for n, seed in enumerate(seeds))
        assert [request.shares_prefix for request in engine.requests] == [True] * 4
        assert not screen.has_class("-tabs")
        assert chat.composer.text == ""
        await pilot.press("2")
        await until(lambda: app.screen is chat)
        await until(lambda: contents(chat) == ["count", "uno two"] and not chat.chat.running)
        assert await siblings(chat) == list(TEXTS)
        await until(lambda: "‹ 2/4 ›" in shown(chat))


async def test_figures_and_titles(tmp_path: Path) -> None:
    engine = ScriptedEngine([reply("one two three four", seed=7), reply("uno", seed=8)])
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(140, 40)) as pilot:
        await ready(app)
        await pilot.press(*"count")
        screen = await planned(app, pilot, "2")
        await all_done(screen)
        seed = engine.requests[0].sampling.seed or 0
        first, second = screen.query(Column)
        await until(lambda: second.title_bar.text.endswith("end of turn"))
        assert first.title_bar.text.split("  ")[0] == f"▶ 1 balanced · seed {seed}"
        assert first.title_bar.text.endswith("100 tok/s · 5 · end of turn")
        assert second.title_bar.text.split("  ")[1] == f"2 balanced · seed {seed + 1}"
        assert second.title_bar.text.endswith("100 tok/s · 2 · end of turn")
        # 4 and 1 tokens after the first ones, in the 40 ms of the longer reply.
        assert line(screen, "together").startswith("2 replies · 125 tok/s together · count")
        assert line(screen, "together").endswith("● done")


async def test_narrow_columns_have_their_figures_on_a_line_of_their_own(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(TEXTS))
    async with app.run_test(size=(140, 40)) as pilot:
        await ready(app)
        await pilot.press(*"count")
        screen = await planned(app, pilot)
        await all_done(screen)
        last = list(screen.query(Column))[3]
        await until(lambda: last.figure_bar.display and last.figure_bar.text.endswith("100 tok/s · 2 · end of turn"))
        assert "tok/s" not in last.title_bar.text


def accounted(n_sharers: int, source: str) -> tuple[CellSpan, ...]:
    """Ten cells of the prompt that others hold too, and nine of its own."""
    at = 1_700_000_000.0
    shared = CellSpan("prompt", 10, source, 0.0, at, at, n_sharers)
    return shared, CellSpan("prompt", 9, "computed", 9.0, at, at), CellSpan("free", 8173)


@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
async def test_while_they_run_it_is_seen_how_many_cells_they_share(tmp_path: Path, size: tuple[int, int]) -> None:
    def script(n_cached: int, source: str) -> Reply:
        accounts = {0: accounted(1, source), 2: accounted(3, source)}
        return Reply(pieces=["a"] * 4, n_prompt=19, n_cached=n_cached, accounts=accounts)

    engine = ScriptedEngine([script(0, "computed"), *[script(10, "shared")] * 3], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=size) as pilot:
        await ready(app)
        await pilot.press(*"count")
        screen = await planned(app, pilot)
        cells = screen.query_one(ParallelCells)
        await engine.release(4)  # the prefills
        await until(lambda: cells.shown[0].rstrip().endswith("  19 cells, & 10 shared with 1 reply"))
        await engine.release(8)
        await until(lambda: cells.shown[0].rstrip().endswith("  20 cells, & 10 shared with 3 replies"))
        assert cells.shown[0].startswith("KV PPP")
        await pilot.press("right")
        await until(lambda: cells.shown[0].startswith("KV ppp"))
        engine.run_free()
        await all_done(screen)


async def test_different_presets_take_turns(tmp_path: Path) -> None:
    engine = ScriptedEngine(TEXTS)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(140, 40)) as pilot:
        await ready(app)
        await pilot.press(*"count")
        await pilot.press("f6")
        await until(lambda: isinstance(app.screen, PlanDialog) and app.screen.is_mounted)
        await pilot.press("left", "left", "down", "down", "space")
        plan = app.screen
        assert isinstance(plan, PlanDialog)
        assert [preset.name for preset in plan.plan.presets] == ["balanced", "precise"]
        assert plan.plan.n_replies == 2
        await pilot.press("left", "enter")
        await until(lambda: len(engine.requests) == 2)
        temperatures = [request.sampling.temperature for request in engine.requests]
        presets = app.services.presets
        assert temperatures == [presets[name].sampling.temperature for name in ("balanced", "precise")]


async def test_on_a_narrow_screen_they_are_tabs(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(TEXTS))
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        await pilot.press(*"count")
        screen = await planned(app, pilot)
        await all_done(screen)
        assert screen.has_class("-tabs")
        assert [column.display for column in screen.query(Column)] == [True, False, False, False]
        await pilot.press("right", "right")
        assert [column.display for column in screen.query(Column)] == [False, False, True, False]
        assert list(screen.query(Column))[2].transcript.last_reply() == "eins zwei drei"
        assert line(screen, "tabs").startswith(" 1 – ") is False
        assert "▶3 100" in line(screen, "tabs")
        await pilot.press("left", "enter")
        await until(lambda: contents(chat) == ["count", "uno two"])


async def test_the_last_message_is_answered_again_and_leaving_keeps_the_reply_before(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine(["old", *TEXTS]))
    async with app.run_test(size=(140, 40)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("count"))
        await answered(chat)
        screen = await planned(app, pilot)
        await all_done(screen)
        await pilot.press("escape")
        await until(lambda: app.screen is chat)
        await until(lambda: contents(chat) == ["count", "old"] and not chat.chat.running)
        assert await siblings(chat) == ["old", *TEXTS]
        await until(lambda: "‹ 1/5 ›" in shown(chat))


async def test_escape_stops_all_and_keeps_their_text(tmp_path: Path) -> None:
    engine = ScriptedEngine([reply("one two three"), reply("uno dos tres")], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(140, 40)) as pilot:
        chat = await ready(app)
        await pilot.press(*"count")
        screen = await planned(app, pilot, "2")
        await engine.release(4)
        await until(lambda: texts(screen) == ["one", "uno"])
        assert line(screen, "together").endswith("◉ 2 replying")
        await pilot.press("escape")
        await all_done(screen)
        assert texts(screen) == ["one", "uno"]
        await pilot.press("enter")
        await until(lambda: app.screen is chat and contents(chat) == ["count", "one"])
        assert chat.chat.session.branch[-1].state is ReplyState.STOPPED


async def test_one_picked_early_is_awaited_and_the_others_are_stopped(tmp_path: Path) -> None:
    engine = ScriptedEngine([reply("one two three"), reply("uno dos")], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(140, 40)) as pilot:
        chat = await ready(app)
        await pilot.press(*"count")
        screen = await planned(app, pilot, "2")
        await engine.release(4)
        await until(lambda: texts(screen) == ["one", "uno"])
        await pilot.press("2")
        await until(lambda: "★ continues with 2 when it is complete" in line(screen, "parallel-keys"))
        engine.run_free()
        await until(lambda: contents(chat) == ["count", "uno dos"] and not chat.chat.running)
        assert chat.chat.session.branch[-1].state is ReplyState.DONE


async def test_without_a_message_there_is_nothing_to_answer(tmp_path: Path) -> None:
    app = make_app(tmp_path, ScriptedEngine())
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app)
        await pilot.press("f6")
        await until(lambda: reported(app) == ["Write a message first, then press F6."])


async def test_a_prompt_that_is_too_long_is_reported_in_every_column(tmp_path: Path) -> None:
    app = make_app(tmp_path, Refusing())
    async with app.run_test(size=(140, 40)) as pilot:
        chat = await ready(app)
        await pilot.press(*"much")
        screen = await planned(app, pilot, "2")
        await all_done(screen)
        for column in screen.query(Column):
            selected = column.transcript.get_selection(Selection(None, None))
            assert selected is not None
            assert "the prompt has 9000 tokens" in selected[0]
        await pilot.press("escape")
        await until(lambda: app.screen is chat and chat.composer.text == "much" and not chat.chat.running)


async def test_quitting_meanwhile_ends_cleanly(tmp_path: Path) -> None:
    engine = ScriptedEngine([reply("one two three"), reply("uno dos tres")], gated=True)
    app = make_app(tmp_path, engine)
    async with app.run_test(size=(140, 40)) as pilot:
        chat = await ready(app)
        await pilot.press(*"count")
        await planned(app, pilot, "2")
        await engine.release(4)
        session = chat.chat.session
        await pilot.press("ctrl+q")
    assert app.return_code == 0
    await until(lambda: not session.busy)
    await app.close()
    assert engine.closed
