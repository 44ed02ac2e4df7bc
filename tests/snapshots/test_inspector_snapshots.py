"""How the inspector looks: compared picture by picture; `--snapshot-update` after a wanted change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot

from app.domain.conversation import Message, Role
from app.domain.sampling import Preset, SamplingParams
from app.domain.trace import Draw, Origin, PromptToken, ReplyTrace, StageTrace, TokenTrace, TopToken
from app.session.turn import TurnSettings
from app.tui.app import TokscopeApp
from app.tui.common.options import ChatOptions
from app.tui.inspector.screen import InspectorScreen
from tests.fakes.chat_app import make_app, ready, until
from tests.fakes.engine_events import make_eog, make_token
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import pieces

Compare = Callable[..., bool]

NARROW, WIDE = (80, 24), (140, 40)
ANSWER = "Warm air rises and cools until its vapour condenses:\n\n1. the sun warms the sea\n2. 雲 form\n3. drops fall."
LEFT = (4 / 7, 2 / 7, 1 / 7, *(0.0,) * 7)
STAGES = (
    StageTrace("top-k", 49152, 40, (0.5005, 0.2502, 0.125, 0.0626, 0.0313, 0.0156, 0.0078, 0.0039, 0.002, 0.001)),
    StageTrace("min-p", 40, 3, LEFT),
    StageTrace("temperature", 3, 3, LEFT),
    StageTrace("dist", 3, 3, LEFT),
)


def tokens() -> list[TokenTrace]:
    made: list[TokenTrace] = []
    for index, piece in enumerate(pieces(ANSWER)):
        token = make_token(piece, index, ms=8.0 + index % 3 * 6, rank=(1, 1, 2, 1, 3, 6)[index % 6])
        sizes = {"n_bytes": len(piece.encode()), "decode_ms": token.ms - 1, "sample_ms": 0.5, "text_ms": 0.1}
        made.append(replace(token, **sizes))
    made[4] = replace(made[4], origin=Origin.BONUS, ghosts=(TopToken(900, " climbs", 0.25), TopToken(901, ".", 0.0)))
    made[3] = replace(made[3], origin=Origin.DRAFT)
    made[0] = replace(made[0], stages=STAGES, draw=Draw(0.55, 0.0, 4 / 7))
    return [*made, make_eog()]


class Kept:
    """One reply and its trace."""

    def __init__(self, trace: ReplyTrace) -> None:
        self.settings = TurnSettings(preset=Preset(name="p"))
        asked = Message(id=1, conversation_id=1, parent_id=None, role=Role.USER, content="?", created_ms=0)
        self.branch = [asked, replace(asked, id=2, parent_id=1, role=Role.ASSISTANT, content=ANSWER)]
        self._trace: ReplyTrace | None = trace

    def trace(self, message_id: int) -> ReplyTrace | None:
        return self._trace if message_id == 2 else None

    async def load_trace(self, message_id: int) -> ReplyTrace | None:
        return self.trace(message_id)

    async def versions(self, shown: Sequence[Message]) -> dict[int, list[Message]]:
        return {message.id: [message] for message in shown}


def prompt() -> tuple[PromptToken, ...]:
    texts = ["<|im_start|>", "user", "\n", "Why", " does", " it", " rain", "?", "<|im_end|>", "\n", "<|im_start|>"]
    texts += ["assistant", "\n"]
    return tuple(PromptToken(i, each, len(each.encode()), each.startswith("<|")) for i, each in enumerate(texts))


def inspecting(tmp_path: Path, theme: str | None = None) -> TokscopeApp:
    return make_app(tmp_path, ScriptedEngine(), options=ChatOptions(theme=theme))


def after(*keys: str) -> Callable[[Pilot[int]], object]:
    async def before(pilot: Pilot[int]) -> None:
        app = pilot.app
        assert isinstance(app, TokscopeApp)
        await ready(app)
        trace = ReplyTrace(
            tokens=tuple(tokens()),
            prompt=prompt(),
            n_cached=3,
            sampling=SamplingParams(temperature=1.0, top_p=1.0, min_p=0.2),
        )
        screen = InspectorScreen(Kept(trace), None)
        await app.push_screen(screen)
        await until(lambda: screen.flow.n_tokens and screen.details.shown)
        for key in keys:
            await pilot.press(key)
            await pilot.pause()

    return before


SIZES = pytest.mark.parametrize("size", [NARROW, WIDE], ids=["narrow", "wide"])


@SIZES
def test_a_token(snap_compare: Compare, tmp_path: Path, size: tuple[int, int]) -> None:
    keys = ("t", "n", "enter", "down")
    assert snap_compare(inspecting(tmp_path), terminal_size=size, run_before=after(*keys))


@SIZES
def test_the_sampler(snap_compare: Compare, tmp_path: Path, size: tuple[int, int]) -> None:
    assert snap_compare(inspecting(tmp_path), terminal_size=size, run_before=after("2"))


def test_a_what_if(snap_compare: Compare, tmp_path: Path) -> None:
    keys = ("w", *("up",) * 10)
    assert snap_compare(inspecting(tmp_path), terminal_size=NARROW, run_before=after(*keys))


@SIZES
def test_the_prompt(snap_compare: Compare, tmp_path: Path, size: tuple[int, int]) -> None:
    assert snap_compare(inspecting(tmp_path), terminal_size=size, run_before=after("3", "down"))


def test_drafts_on_paper(snap_compare: Compare, tmp_path: Path) -> None:
    keys = ("d", "t", "t", "t", "t", "right", "right", "right", "right")
    assert snap_compare(inspecting(tmp_path, "paper"), terminal_size=WIDE, run_before=after(*keys))
