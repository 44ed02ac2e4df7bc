"""Watching by keys: pages, wishes, and figures that grow while they are looked at."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from app.domain.conversation import UserMessage
from app.domain.generation import CellSpan, PromptSpans
from app.domain.model import LoadOptions
from app.tui.chat.screen import ChatScreen
from app.tui.common.options import ChatOptions
from app.tui.common.preferences import Preferences
from app.tui.dialogs.pickers import Palette
from app.tui.panels.choice import Visibility
from app.tui.watch.screen import WatchScreen
from tests.fakes.chat_app import answered, make_app, make_catalogue, ready, reported, until
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import Reply
from tests.tui.watch.watched import asked, engine, picking, remembering, watching


async def test_f7_opens_and_arrows_turn_the_pages(tmp_path: Path) -> None:
    app = make_app(tmp_path, engine())
    async with app.run_test(size=(80, 24)) as pilot:
        await asked(pilot)
        await pilot.press("f7")
        await until(lambda: isinstance(app.screen, WatchScreen))
        seen: list[str] = []
        for _ in range(6):
            await pilot.pause()
            seen.append(watching(pilot).page.shown[0].split("  ")[0])
            await pilot.press("right")
        assert seen == ["SPECULATION", "LATENCY", "KV-CACHE", "WHY IT STOPS", "SPEED", "SPECULATION"]
        await pilot.press("left", "left")
        await pilot.pause()
        assert watching(pilot).page.shown[0].startswith("SPEED")
        await pilot.press("escape")
        await until(lambda: isinstance(app.screen, ChatScreen))


async def test_speculation_marks_the_tokens_of_the_reply(tmp_path: Path) -> None:
    app = make_app(tmp_path, engine())
    async with app.run_test(size=(80, 24)) as pilot:
        await asked(pilot)
        await pilot.press("f7")
        await until(lambda: isinstance(app.screen, WatchScreen))
        await pilot.pause()
        screen = watching(pilot)
        assert screen.page.shown[:4] == [
            "SPECULATION                                                  in this reply: on",
            "drafted 24    accepted 16    bonus 0     rejected 8     drafts 8     ",
            "accepted per draft, on average 2.0",
            "compared with plain decoding: gain ×1.57: saved 120 ms",
        ]
        assert screen.flow.shown[0].startswith("One plain0 kept kept⟨ ghost⟩ own plain1 kept")
        assert screen.flow.shown[1].startswith("·  ·      D    D            ·   ·      D    D")
        assert screen.legend.shown == ["D draft accepted  B bonus  · sampled  ⟨x⟩ draft rejected"]


async def test_the_cache_is_listed_with_its_texts(tmp_path: Path) -> None:
    app = make_app(tmp_path, engine())
    async with app.run_test(size=(80, 24)) as pilot:
        await asked(pilot)
        app.screen_of_chat.action_command("watch_cells")  # pyright: ignore[reportOptionalMemberAccess] -- it is there
        await until(lambda: isinstance(app.screen, WatchScreen))
        await pilot.pause()
        lines = [line.rstrip() for line in watching(pilot).page.shown]
        assert lines[1].startswith("sePR·")
        assert lines[6] == "s  0–11            12  system  reused            –                         –"
        assert lines[7] == "   <|im_start|>␣p1␣p2␣p3␣p4␣p5␣p6␣p7␣p8␣p9␣p10␣p11"
        assert "R 40–72 33 reply computed – 320 ms" in [" ".join(line.split()) for line in lines]


AT = 1_700_000_000.0
"""22:13:20 of a day in November."""
PROMPT = (
    CellSpan("system", 12, "restored", 0.0, AT - 86_400, AT - 86_400, 2),
    CellSpan("earlier", 8, "reused", 0.0, AT - 60, AT - 50),
)
LISTS = {
    (80, 24): [
        "s& 0–11 12 system from disk 2 13 Nov 23 –",
        "e 12–19 8 earlier reused 22:12:20–22:12:30 –",
        "P 20–39 20 prompt computed 22:13:20 20.0 ms",
        "R 40–41 2 reply computed 22:13:20–now 20.0 ms",
    ],
    (140, 40): [
        "s& 0–11 12 system restored from disk with 2 replies 13 Nov 23 –",
        "e 12–19 8 earlier was in the cache before 22:12:20–22:12:30 –",
        "P 20–39 20 prompt computed for this reply 22:13:20 20.0 ms",
        "R 40–41 2 reply computed for this reply 22:13:20–now 20.0 ms",
    ],
}


@pytest.mark.parametrize("size", LISTS, ids=["narrow", "wide"])
async def test_the_running_reply_shows_which_cells_are_shared_now_and_when_each_was_computed(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    own = CellSpan("prompt", 20, "computed", 20.0, AT, AT)
    accounts = {
        0: (*PROMPT, CellSpan("free", 8172)),
        2: (*PROMPT, own, CellSpan("reply", 1, "computed", 10.0, AT, AT), CellSpan("free", 8151)),
        # Another reply has ended, and one joined: now one holds the earlier turns too.
        4: (*(msgspec.structs.replace(span, n_sharers=1) for span in PROMPT), own, CellSpan("free", 8152)),
    }
    script = Reply(pieces=["a"] * 6, n_prompt=40, n_cached=20, spans=PromptSpans(12, 8, 20), accounts=accounts)
    scripted = ScriptedEngine([script], gated=True)
    app = make_app(tmp_path, scripted)

    def spans() -> list[str]:
        return [" ".join(line.split()) for line in watching(pilot).page.shown[6:] if "–" in line and line[0] != " "]

    async with app.run_test(size=size) as pilot:
        chat = await asked(pilot, wait=False)
        await scripted.release(4)  # the prefill and three tokens
        chat.action_command("watch_cells")
        await until(lambda: isinstance(app.screen, WatchScreen))
        await until(lambda: spans() == LISTS[size])
        assert "& shared" in watching(pilot).page.shown[3]
        await scripted.release(1)
        await until(lambda: [line.split()[0] for line in spans()] == ["s&", "e&", "P", "R"])
        scripted.run_free()
        await until(lambda: not chat.chat.running)


async def test_the_figures_grow_while_they_are_looked_at(tmp_path: Path) -> None:
    scripted = engine(gated=True)
    app = make_app(tmp_path, scripted)
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await asked(pilot, wait=False)
        await scripted.release(6)
        await pilot.press("f7")
        await until(lambda: isinstance(app.screen, WatchScreen) and watching(pilot).flow.n_tokens == 5)
        assert watching(pilot).page.shown[1].startswith("drafted 3     accepted 2 ")
        await scripted.release(4)
        await until(lambda: watching(pilot).flow.n_tokens == 9)
        await until(lambda: watching(pilot).page.shown[1].startswith("drafted 6     accepted 4 "))
        scripted.run_free()
        await until(lambda: not chat.chat.running)
        await until(lambda: watching(pilot).page.shown[1].startswith("drafted 24    accepted 16 "))


async def test_the_page_that_was_open_last_opens_next_even_in_another_session(tmp_path: Path) -> None:
    path = tmp_path / "memory.json"
    app = make_app(tmp_path, engine(), memory=Preferences(path))
    async with app.run_test(size=(80, 24)) as pilot:
        await asked(pilot)
        await pilot.press("f7")
        await until(lambda: isinstance(app.screen, WatchScreen))
        await pilot.press("right", "right", "f7")
        await until(lambda: isinstance(app.screen, ChatScreen))
    app = make_app(tmp_path, engine(), memory=Preferences(path))
    async with app.run_test(size=(80, 24)) as pilot:
        await asked(pilot)
        await pilot.press("f7")
        await until(lambda: isinstance(app.screen, WatchScreen))
        assert watching(pilot).page.panel == "cells"


async def test_a_wish_is_made_on_the_page_and_remembered(tmp_path: Path) -> None:
    path = tmp_path / "memory.json"
    app = make_app(tmp_path, engine(), memory=Preferences(path))
    async with app.run_test(size=(140, 40)) as pilot:
        chat = await asked(pilot)
        assert not any(line.startswith("P(END OF TEXT)") for line in chat.panels.shown)
        chat.action_command("watch_ending")
        await until(lambda: isinstance(app.screen, WatchScreen))
        await pilot.press("c", "escape")
        await until(lambda: any(line.startswith("P(END OF TEXT)") for line in chat.panels.shown))
    assert Preferences(path).recall("panel_choice", "") == "ending=shown"
    app = make_app(tmp_path, engine(), memory=Preferences(path))
    async with app.run_test(size=(140, 40)) as pilot:
        chat = await asked(pilot)
        assert any(line.startswith("P(END OF TEXT)") for line in chat.panels.shown)


async def test_panels_are_chosen_hidden_and_opened_by_name(tmp_path: Path) -> None:
    app = make_app(tmp_path, engine())
    async with app.run_test(size=(140, 40)) as pilot:
        chat = await asked(pilot)
        await pilot.press("ctrl+p")
        await until(lambda: isinstance(app.screen, Palette))
        await pilot.press(*"choose the panels", "enter")
        picker = await picking(app)
        await pilot.press(*"prefill", "enter", "enter")
        await until(lambda: picker.highlighted is not None and picker.highlighted.tail == Visibility.HIDDEN)
        await pilot.press("f7")
        await until(lambda: isinstance(app.screen, WatchScreen))
        assert watching(pilot).page.panel == "figures"
        await pilot.press("escape")
        await until(lambda: isinstance(app.screen, ChatScreen))
        await until(lambda: chat.panels.shown and not any(line.startswith("PREFILL") for line in chat.panels.shown))


async def test_the_key_pressed_twice_opens_one_screen(tmp_path: Path) -> None:
    app = make_app(tmp_path, engine())
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await asked(pilot)
        chat.action_command("watch")
        chat.action_command("watch_cells")
        await until(lambda: isinstance(app.screen, WatchScreen))
        await pilot.pause()
        await pilot.press("escape")
        await until(lambda: isinstance(app.screen, ChatScreen))
        chat.action_command("watch_ending")
        await until(lambda: isinstance(app.screen, WatchScreen))
        assert watching(pilot).page.panel == "ending"


async def test_a_click_on_a_panel_opens_it(tmp_path: Path) -> None:
    app = make_app(tmp_path, engine(), memory=remembering("latency=shown"))
    async with app.run_test(size=(140, 40)) as pilot:
        chat = await asked(pilot)
        row = next(y for y, line in enumerate(chat.panels.shown) if line.startswith("LATENCY"))
        await pilot.click(chat.panels, offset=(4, row))
        await until(lambda: isinstance(app.screen, WatchScreen))
        assert watching(pilot).page.panel == "latency"


async def test_a_reply_can_be_watched_to_its_end_in_a_tiny_window(tmp_path: Path) -> None:
    app = make_app(tmp_path, engine())
    async with app.run_test(size=(40, 10)) as pilot:
        await asked(pilot)
        await pilot.press("f7")
        await until(lambda: isinstance(app.screen, WatchScreen))
        for size in ((40, 10), (200, 60), (12, 4), (80, 24)):
            await pilot.resize_terminal(*size)
            for _ in range(5):
                await pilot.press("right")
                await pilot.pause()
        assert watching(pilot).page.panel == "speculation"


async def test_speculation_is_turned_off_for_a_draft_model_and_on_for_the_model_after_it(tmp_path: Path) -> None:
    catalogue = make_catalogue(tmp_path)
    alone = catalogue.models["tiny"]
    catalogue.models["pair"] = msgspec.structs.replace(alone, name="pair", options=LoadOptions(draft="tiny"))
    scripted = ScriptedEngine()
    app = make_app(tmp_path, scripted, catalogue=catalogue, options=ChatOptions(model="pair"))

    async def asked_for(n_messages: int) -> bool | None:
        chat.chat.submit(UserMessage("Why?"))
        await answered(chat, n_messages)
        return scripted.requests[-1].speculate

    async with app.run_test(size=(80, 24)):
        chat = await ready(app)
        assert await asked_for(2) is None  # with the draft model, as it is loaded
        chat.action_command("speculate")
        assert await asked_for(4) is False
        chat.action_command("speculate")
        assert await asked_for(6) is None
        chat.loads.load("tiny")
        await until(lambda: len(scripted.loads) == 2 and chat.loader.ready)
        assert await asked_for(8) is None  # which has nothing to draft with
        chat.action_command("speculate")
        assert await asked_for(10) is True
        assert reported(app)[-1] == "Speculation is on from the next reply on."
