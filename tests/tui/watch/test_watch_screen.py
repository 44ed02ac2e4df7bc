"""Watching by keys: pages, wishes, speculation, and figures that grow while they are looked at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from textual.pilot import Pilot

from app.domain.generation import CellSpan, DraftCounts, PromptSpans
from app.domain.trace import Origin, TokenTrace, TopToken
from app.store.store import Store
from app.tui.app import TokscopeApp
from app.tui.flow.memory import Memory
from app.tui.options import ChatOptions
from app.tui.panels.choice import Wish
from app.tui.screens.chat import ChatScreen
from app.tui.screens.help import Help
from app.tui.screens.palette import Palette
from app.tui.screens.panel_picker import PanelPicker
from app.tui.screens.watch import WatchScreen
from tests.fakes.chat_app import answered, make_app, ready, until
from tests.fakes.engine_events import make_token
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import Reply

CELLS = (
    CellSpan("system", 12, "reused"),
    CellSpan("earlier", 8, "reused"),
    CellSpan("prompt", 20, "computed", 20.0),
    CellSpan("reply", 33, "computed", 320.0),
    CellSpan("free", 8119),
)


def drafted_tokens() -> list[TokenTrace]:
    """A first token, eight plain steps, and eight of a kept guess, a kept guess and a replaced one."""
    tokens = [make_token("One", ms=30.0)]
    for at in range(8):
        tokens.append(make_token(f" plain{at}", ms=10.0))
        first = make_token(" kept", ms=15.0)
        tokens += [
            msgspec.structs.replace(first, origin=Origin.DRAFT),
            msgspec.structs.replace(first, origin=Origin.DRAFT, ms=0.0),
            msgspec.structs.replace(make_token(" own"), ms=0.0, ghosts=(TopToken(7, " ghost", 0.2),)),
        ]
    return tokens


def engine(*, gated: bool = False) -> ScriptedEngine:
    script = Reply(
        tokens=drafted_tokens(),
        n_prompt=40,
        n_cached=20,
        spans=PromptSpans(12, 8, 20),
        drafting=DraftCounts(8, 24, 16, (8, 8, 8), (8, 8, 0)),
        cells=CELLS,
    )
    return ScriptedEngine([script], gated=gated)


async def asked(pilot: Pilot[int], *, wait: bool = True) -> ChatScreen:
    app = pilot.app
    assert isinstance(app, TokscopeApp)
    chat = await ready(app)
    chat.chat.submit("Why?")
    if wait:
        await answered(chat)
    await pilot.pause()
    return chat


def watching(pilot: Pilot[int]) -> WatchScreen:
    screen = pilot.app.screen
    assert isinstance(screen, WatchScreen)
    return screen


async def picking(app: TokscopeApp) -> PanelPicker:
    await until(lambda: isinstance(app.screen, PanelPicker) and app.screen.is_mounted)
    picker = app.screen
    assert isinstance(picker, PanelPicker)
    await until(lambda: picker.highlighted is not None)
    return picker


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
            "accepted of a draft on average 2.0",
            "against plain decoding: gain ×1.57: saved 120 ms",
        ]
        assert screen.flow.shown[0].startswith("One plain0 kept kept⟨ ghost⟩ own plain1 kept")
        assert screen.flow.shown[1].startswith("·  ·      D    D            ·   ·      D    D")
        assert screen.legend.shown == ["D draft kept  B bonus  · sampled  ⟨x⟩ guess thrown away"]


async def test_the_cache_is_listed_with_its_texts(tmp_path: Path) -> None:
    app = make_app(tmp_path, engine())
    async with app.run_test(size=(80, 24)) as pilot:
        await asked(pilot)
        app.screen_of_chat.action_watch("cells")  # pyright: ignore[reportOptionalMemberAccess] -- it is there
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
        "s& 0–11 12 system restored from disk with 2 branches 13 Nov 23 –",
        "e 12–19 8 earlier was in the cache before 22:12:20–22:12:30 –",
        "P 20–39 20 prompt computed for this reply 22:13:20 20.0 ms",
        "R 40–41 2 reply computed for this reply 22:13:20–now 20.0 ms",
    ],
}


@pytest.mark.parametrize("size", LISTS, ids=["narrow", "wide"])
async def test_the_running_reply_tells_which_cells_are_shared_now_and_when_each_was_computed(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    own = CellSpan("prompt", 20, "computed", 20.0, AT, AT)
    accounts = {
        0: (*PROMPT, CellSpan("free", 8172)),
        2: (*PROMPT, own, CellSpan("reply", 1, "computed", 10.0, AT, AT), CellSpan("free", 8151)),
        # Another branch has ended, and one joined: now one holds the earlier turns too.
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
        chat.action_watch("cells")
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
    app = make_app(tmp_path, engine(), memory=Memory(path))
    async with app.run_test(size=(80, 24)) as pilot:
        await asked(pilot)
        await pilot.press("f7")
        await until(lambda: isinstance(app.screen, WatchScreen))
        await pilot.press("right", "right", "f7")
        await until(lambda: isinstance(app.screen, ChatScreen))
    app = make_app(tmp_path, engine(), memory=Memory(path))
    async with app.run_test(size=(80, 24)) as pilot:
        await asked(pilot)
        await pilot.press("f7")
        await until(lambda: isinstance(app.screen, WatchScreen))
        assert watching(pilot).page.panel == "cells"


async def test_a_wish_is_made_on_the_page_and_remembered(tmp_path: Path) -> None:
    path = tmp_path / "memory.json"
    app = make_app(tmp_path, engine(), memory=Memory(path))
    async with app.run_test(size=(140, 40)) as pilot:
        chat = await asked(pilot)
        assert not any(line.startswith("P(END OF TEXT)") for line in chat.panels.shown)
        chat.action_watch("ending")
        await until(lambda: isinstance(app.screen, WatchScreen))
        await pilot.press("c", "escape")
        await until(lambda: any(line.startswith("P(END OF TEXT)") for line in chat.panels.shown))
    assert Memory(path).recall("panel_choice", "") == "ending=shown"
    app = make_app(tmp_path, engine(), memory=Memory(path))
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
        await until(lambda: picker.highlighted is not None and picker.highlighted.tail == Wish.HIDDEN)
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
        chat.action_watch()
        chat.action_watch("cells")
        await until(lambda: isinstance(app.screen, WatchScreen))
        await pilot.pause()
        await pilot.press("escape")
        await until(lambda: isinstance(app.screen, ChatScreen))
        chat.action_watch("ending")
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


def remembering(choice: str) -> Memory:
    memory = Memory(None)
    memory.remember("panel_choice", choice, "")
    return memory


@pytest.mark.parametrize("where", ["chat", "page"])
async def test_speculation_is_turned_on_for_the_next_reply(tmp_path: Path, where: str) -> None:
    scripted = engine()
    app = make_app(tmp_path, scripted)
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await asked(pilot)
        if where == "chat":
            await app.screen.run_action("screen.speculate")
        else:
            await pilot.press("f7")
            await until(lambda: isinstance(app.screen, WatchScreen))
            await pilot.press("d", "escape")
            await until(lambda: isinstance(app.screen, ChatScreen))
        chat.chat.submit("Again?")
        await until(lambda: len(scripted.requests) == 2)
        assert [request.speculate for request in scripted.requests] == [False, True]
        assert all(request.tell_prompt for request in scripted.requests)


@pytest.mark.parametrize(
    ("draft", "words"),
    [
        (None, ["Speculation is on from the next reply on.", "Speculation is off from the next reply on."]),
        ("/models/small.gguf", ["The draft model that is loaded drafts for every reply, whatever is set here."] * 2),
    ],
)
async def test_what_turning_speculation_on_and_off_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, draft: str | None, words: list[str]
) -> None:
    app = make_app(tmp_path, engine())
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await asked(pilot)
        located = chat.loader.located
        assert located is not None
        options = msgspec.structs.replace(located.options, draft=draft)
        chat.loader.located = msgspec.structs.replace(located, options=options)
        told: list[str] = []
        monkeypatch.setattr(app, "notify", lambda message, **_: told.append(message))
        chat.action_speculate()
        chat.action_speculate()
        assert told == words
        assert chat.watching.setting.speculate is (draft is not None)


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


def page_text(app: TokscopeApp) -> str:
    return str(app.screen.query_one("#help-text").render())


async def test_the_help_tells_how_this_reply_came_about(tmp_path: Path) -> None:
    app = make_app(tmp_path, engine())
    async with app.run_test(size=(80, 24)) as pilot:
        await asked(pilot)
        await pilot.press("f1")
        await until(lambda: isinstance(app.screen, Help))
        await pilot.pause()
        assert "Commands" in page_text(app)
        await pilot.press("right")
        await pilot.pause()
        assert "The conversation was cut into 40 tokens such as" in page_text(app)
        assert "Here 16 of 24 guesses were kept, which saved 120 ms." in page_text(app)
        await pilot.press("right")
        await pilot.pause()
        assert "Inspector" in page_text(app)
        await pilot.press("right", "left", "left")
        await pilot.pause()
        assert "The loop: five steps" in page_text(app)


async def test_the_story_is_that_of_the_preset_the_reply_was_made_with(tmp_path: Path) -> None:
    app = make_app(tmp_path, engine(), preset="deterministic")
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await asked(pilot)
        chat.chat.session.preset = app.services.presets["creative"]
        steps, _ = chat.watching.story()
        assert steps[2].text.startswith("The likeliest one is always taken: the temperature is 0.")


@pytest.mark.parametrize(("query", "words"), [("how it works", "cut into tokens"), ("what you see", "KV-cache  ")])
async def test_the_helps_pages_have_palette_entries(tmp_path: Path, query: str, words: str) -> None:
    app = make_app(tmp_path, engine())
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app)
        await pilot.press("ctrl+p")
        await until(lambda: isinstance(app.screen, Palette))
        await pilot.press(*query, "enter")
        await until(lambda: isinstance(app.screen, Help))
        await pilot.pause()
        found: Callable[[], bool] = lambda: words.rstrip() in page_text(app)  # noqa: E731 -- a condition to wait on
        await until(found)


async def test_an_old_reply_is_watched_as_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "tokscope.db"
    app = make_app(tmp_path, engine(), store=await Store.open(path), preset="deterministic")
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await asked(pilot)
        told = chat.watching.story()
    await app.close()
    app = make_app(tmp_path, engine(), store=await Store.open(path), options=ChatOptions(continue_last=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(lambda: app.screen_of_chat is not None and len(app.screen_of_chat.chat.session.branch) == 2)
        await ready(app)
        assert app.screen_of_chat is not None
        app.screen_of_chat.meter.screen.ticked(1.0, 0.5, 0.1)  # of a turn in another conversation
        await pilot.press("f7")
        await until(lambda: isinstance(app.screen, WatchScreen))
        await pilot.pause()
        assert watching(pilot).page.shown[1].startswith("drafted 24    accepted 16 ")
        assert watching(pilot).flow.n_tokens == 34
        await pilot.press("right")
        await pilot.pause()
        assert "CPU of its thread –" in " ".join(" ".join(watching(pilot).page.shown).split())
        await pilot.press("right")
        await pilot.pause()
        assert "R 40–72 33 reply computed – 320 ms" in [" ".join(row.split()) for row in watching(pilot).page.shown]
        assert app.screen_of_chat is not None
        assert app.screen_of_chat.watching.story() == told
    await app.close()


@pytest.mark.parametrize("by", ["click", "picker"])
async def test_an_old_reply_has_its_figures_by_every_way_to_them(tmp_path: Path, by: str) -> None:
    path = tmp_path / "tokscope.db"
    app = make_app(tmp_path, engine(), store=await Store.open(path))
    async with app.run_test(size=(140, 40)) as pilot:
        await asked(pilot)
    await app.close()
    memory = remembering("latency=shown")
    options = ChatOptions(continue_last=True)
    app = make_app(tmp_path, engine(), store=await Store.open(path), options=options, memory=memory)
    async with app.run_test(size=(140, 40)) as pilot:
        await until(lambda: app.screen_of_chat is not None and len(app.screen_of_chat.chat.session.branch) == 2)
        chat = await ready(app)
        if by == "click":
            await until(lambda: any(line.startswith("LATENCY") for line in chat.panels.shown))
            row = next(y for y, line in enumerate(chat.panels.shown) if line.startswith("LATENCY"))
            await pilot.click(chat.panels, offset=(4, row))
        else:
            chat.action_choose_panels()
            await picking(app)
            await pilot.press("f7")
        await until(lambda: isinstance(app.screen, WatchScreen))
        assert len(chat.meter.tokens) == 34
    await app.close()
