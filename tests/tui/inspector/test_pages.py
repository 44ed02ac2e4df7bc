"""The sampler's and the prompt's page of the inspector in a whole chat: stages, what if by keys, what was sent."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace
from textual.pilot import Pilot

from app.domain.conversation import UserMessage
from app.domain.sampling import Preset, SamplingParams
from app.domain.trace import Draw, PromptToken, StageTrace
from app.tui.app import TokscopeApp
from app.tui.inspector.screen import InspectorScreen
from tests.fakes.chat_app import answered, make_app, ready, until
from tests.fakes.engine_events import make_eog, make_token
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import Reply

PLAIN = Preset(name="plain", sampling=SamplingParams(temperature=1.0, top_k=2, top_p=1.0, min_p=0.0))
LEFT = (2 / 3, 1 / 3, *(0.0,) * 8)
STAGES = (
    StageTrace("top-k", 49152, 2, LEFT),
    StageTrace("temperature", 2, 2, LEFT),
    StageTrace("dist", 2, 2, LEFT),
)
SENT = ("<|im_start|>", "user", "\n", "Why", "?", "<|im_end|>")


def chat(folder: Path) -> TokscopeApp:
    """A chat whose model says one token, drawn at 0.625 from two that are left: 2/3 and 1/3."""
    first = replace(make_token("Warm"), stages=STAGES, draw=Draw(0.625, 0.0, 2 / 3))
    prompt = [PromptToken(i, text, len(text.encode()), text.startswith("<|")) for i, text in enumerate(SENT)]
    reply = Reply(tokens=[first, make_eog()], n_prompt=len(SENT), n_cached=2, prompt=prompt)
    return make_app(folder, ScriptedEngine([reply]), presets={"plain": PLAIN}, preset="plain")


async def inspected(app: TokscopeApp, pilot: Pilot[int], *keys: str) -> InspectorScreen:
    open_chat = await ready(app)
    open_chat.chat.submit(UserMessage("Why?"))
    await answered(open_chat)
    await pilot.press("f3")
    await until(lambda: isinstance(app.screen, InspectorScreen) and app.screen.flow.n_tokens)
    screen = app.screen
    assert isinstance(screen, InspectorScreen)
    await pilot.press(*keys)
    await pilot.pause()
    return screen


def rows(screen: InspectorScreen) -> list[str]:
    return [line.rstrip() for line in screen.details.shown]


async def test_the_sampler_shows_each_stage_who_it_cut_and_where_the_draw_fell(tmp_path: Path) -> None:
    app = chat(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        shown = rows(await inspected(app, pilot, "home", "2"))
        assert shown[:5] == [
            "SAMPLER  recorded",
            "    p after             model    top-k     temp",
            "    left               49,152        2        2",
            "▶ a Warm                 50 %     67 %     67 % ████████████████████",
            "  b ␣alt2                25 %     33 %     33 % ██████████",
        ]
        assert shown[-2:] == [f"0 {'a' * 49}{'b' * 25} 1", f"{' ' * 48}▲ u = 0.6250 → Warm"]


async def test_the_arrows_move_the_knobs_and_the_pick_changes(tmp_path: Path) -> None:
    app = chat(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await inspected(app, pilot, "home", "w")
        assert rows(screen)[0] == "WHAT IF  exact"
        assert rows(screen)[-2:] == [
            f"{' ' * 48}▲ u = 0.6250 → Warm",
            "◂temperature 1▸  top-k 2   top-p off   min-p off",
        ]
        # At temperature 2 the weights are the square roots: 0.586 and 0.414, and the same draw falls on the other.
        await pilot.press(*["up"] * 20)
        await pilot.pause()
        assert rows(screen)[2:5] == [
            "    left                  all        2        2",
            "▶ a Warm                 50 %     67 %     59 % █████████████████▋",
            "→ b ␣alt2                25 %     33 %     41 % ████████████▍",
        ]
        assert rows(screen)[-2:] == [
            f"{' ' * 12}u = 0.6250 → ␣alt2 in place of Warm ▲",
            "◂temperature 2▸  top-k 2   top-p off   min-p off",
        ]
        await pilot.press("right", "down")
        await pilot.pause()
        assert rows(screen)[2:5] == [
            "    left                  all        1        1",
            "▶ a Warm                 50 %    100 %    100 % ██████████████████████████████",
            "    ␣alt2                25 %        ✂",
        ]
        assert rows(screen)[-1] == " temperature 2  ◂top-k 1▸  top-p off   min-p off"
        await pilot.press("backspace")
        await pilot.pause()
        assert rows(screen)[-1] == "◂temperature 1▸  top-k 2   top-p off   min-p off"


async def test_what_was_sent_is_reported_token_by_token(tmp_path: Path) -> None:
    app = chat(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await inspected(app, pilot, "3")
        assert screen.prompt.shown == ["<|im_start|>user↵", "░░░░░░░░░░░ ░░░ ▓", "Why?<|im_end|>", "▓▓ ▓▓▓▓▓▓▓▓▓▓"]
        assert screen.legend.shown == ["░ cached 2  ▓ computed 4  <|name|> control 2"]
        assert rows(screen) == [
            "PROMPT  6 tokens, 31 bytes, as rendered by the template",
            "cached          2 found in the KV cache             ████████▋",
            "computed        4 read by the model for this reply  █████████████████▍",
            "",
            "TOKEN 1 of 6",
            "text      “<|im_start|>”",
            "id        0  control token, cached",
            "bytes     0 to 12",
        ]
        await pilot.press("end")
        await pilot.pause()
        assert rows(screen)[-3:] == [
            "text      “<|im_end|>”",
            "id        5  control token, computed",
            "bytes     21 to 31",
        ]
