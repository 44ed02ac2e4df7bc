"""The flow of tokens on a screen: cursor, clicks, tints, ghosts, and a reply that grows under it."""

from __future__ import annotations

import msgspec
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from app.domain.trace import Origin, TokenTrace, TopToken
from app.tui.common.theme import VARIABLE_DEFAULTS
from app.tui.tokens.reply import ReplyTokens
from app.tui.tokens.tint import Tint
from tests.fakes.engine_events import make_token


def tokens(*texts: str) -> list[TokenTrace]:
    return [make_token(text, index, rank=1 + index % 4) for index, text in enumerate(texts)]


class HostApp(App[None]):
    def __init__(self, shown: list[TokenTrace]) -> None:
        super().__init__()
        self.flow = ReplyTokens()
        self.moved: list[int] = []
        self._shown = shown

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return dict(VARIABLE_DEFAULTS)

    def compose(self) -> ComposeResult:
        yield self.flow

    def on_mount(self) -> None:
        self.flow.show(self._shown)
        self.flow.focus()

    def on_flow_moved(self, event: ReplyTokens.Moved) -> None:
        self.moved.append(event.index)


def cursor_text(flow: ReplyTokens) -> str:
    """What is drawn as the cursor on the screen."""
    segments = [segment for y in range(flow.size.height) for segment in flow.render_line(y)]
    return "".join(segment.text for segment in segments if segment.style is not None and segment.style.reverse)


async def press(pilot: Pilot[None], *keys: str) -> None:
    await pilot.press(*keys)
    await pilot.pause()


async def test_the_cursor_moves_by_tokens_lines_and_ends() -> None:
    app = HostApp(tokens("The", " sky", " is\n", "blue", " and", " wide", "."))
    async with app.run_test(size=(21, 6)) as pilot:
        flow = app.flow
        assert flow.shown == ["The sky is↵", "blue and wide."]
        assert (flow.cursor, cursor_text(flow)) == (0, "The")
        await press(pilot, "right", "right")
        assert (flow.cursor, cursor_text(flow)) == (2, " is↵")
        await press(pilot, "down")
        assert (flow.cursor, cursor_text(flow)) == (4, " and")
        await press(pilot, "up")
        assert flow.cursor == 2
        await press(pilot, "end")
        assert (flow.cursor, flow.follow) == (6, True)
        await press(pilot, "right", "home", "left")
        assert flow.cursor == 0
        await pilot.click(ReplyTokens, offset=(9, 1))
        assert (flow.cursor, cursor_text(flow)) == (5, " wide")
        assert app.moved == [0, 1, 2, 4, 2, 6, 0, 5]


async def test_a_tint_puts_a_mark_under_every_token() -> None:
    app = HostApp(tokens("The", " sky", " is", " blue"))
    async with app.run_test(size=(31, 6)):
        flow = app.flow
        assert flow.shown == ["The sky is blue"]
        flow.tint = Tint.PROBABILITY
        # p is 1/2, 1/4, 1/8, 1/16
        assert flow.shown == ["The sky is blue", "██ ▆▆▆ ▆▆ ▄▄▄▄"]
        assert "".join(text for text, _ in flow.legend) == ("p  █ ≥50 %  ▆ 10–50 %  ▄ 1–10 %  ▂ 0.1–1 %  ▁ <0.1 %  ")
        flow.tint = Tint.ENTROPY
        assert flow.shown[1] == "▅▅ ▅▅▅ ▅▅ ▅▅▅▅"
        flow.tint = Tint.LATENCY
        assert flow.shown[1] == "▃▃ ▃▃▃ ▃▃ ▃▃▃▃"
        assert "".join(text for text, _ in flow.legend).endswith("≥ 2× the median of 10.0 ms")
        flow.tint = Tint.ORIGIN
        assert flow.shown[1] == "·  ·   ·  ·"


async def test_the_median_of_a_latency_tint_is_that_of_all_tokens_however_they_came() -> None:
    made = [make_token(f" {n}", n, ms=10.0 if n < 45 else 40.0) for n in range(200)]
    app = HostApp(made[:40])
    async with app.run_test(size=(40, 6)):
        flow = app.flow

        def reported() -> str:
            return "".join(text for text, _ in flow.legend).rpartition("of ")[2]

        flow.tint = Tint.LATENCY
        assert reported() == "10.0 ms"
        flow.show(made[:60])
        assert reported() == "10.0 ms"
        flow.show(made)
        assert reported() == "40.0 ms"
        flow.show(made[:40])
        assert reported() == "10.0 ms"
        flow.tint = Tint.NONE
        flow.show(made)
        flow.tint = Tint.LATENCY
        assert reported() == "40.0 ms"


async def test_rejected_drafts_are_shown_when_asked_for() -> None:
    made = tokens("The", " sky")
    made[1] = msgspec.structs.replace(
        made[1], origin=Origin.BONUS, ghosts=(TopToken(7, " cat", 0.25), TopToken(8, " sat", 0.0))
    )
    app = HostApp(made)
    async with app.run_test(size=(31, 4)):
        flow = app.flow
        assert flow.shown == ["The sky"]
        flow.ghosts = True
        assert flow.shown == ["The⟨ cat sat⟩ sky"]
        assert flow.legend == (("⟨x⟩", "ghost"), (" rejected", "text"))
        flow.tint = Tint.ORIGIN
        assert flow.shown == ["The⟨ cat sat⟩ sky", "·            B"]


async def test_a_reply_that_grows_keeps_the_cursor_unless_it_follows() -> None:
    made = tokens(*[f" word{n}" for n in range(200)])
    app = HostApp(made[:3])
    async with app.run_test(size=(40, 6)) as pilot:
        flow = app.flow
        await press(pilot, "right")
        flow.show(made[:50])
        await pilot.pause()
        assert (flow.cursor, flow.n_tokens, flow.scroll_offset.y) == (1, 50, 0)
        await press(pilot, "end")
        assert flow.cursor == 49
        flow.show(made)
        await pilot.pause()
        assert flow.cursor == 199
        assert cursor_text(flow) == " word199"
        grown = flow.shown
        flow.show(made[:1])
        flow.show(made[1:2])
        flow.show(made)
        assert flow.shown == grown
        assert flow.cursor == 199


async def test_another_width_lays_out_again() -> None:
    app = HostApp(tokens("The", " sky", " is", " blue"))
    async with app.run_test(size=(40, 6)) as pilot:
        await pilot.resize_terminal(10, 6)
        await pilot.pause()
        assert app.flow.shown == ["The sky", "is blue"]
        await press(pilot, "down")
        assert app.flow.cursor == 2


async def test_without_tokens_nothing_moves() -> None:
    app = HostApp([])
    async with app.run_test(size=(40, 6)) as pilot:
        await press(pilot, "right", "down", "end", "home", "pagedown")
        await pilot.click(ReplyTokens, offset=(3, 2))
        assert (app.flow.cursor, app.flow.token, app.flow.shown) == (-1, None, [])


async def test_a_reply_that_grows_under_the_view_scrolls_without_a_layout_of_the_screen() -> None:
    app = HostApp(tokens("one"))
    async with app.run_test(size=(21, 6)) as pilot:
        flow = app.flow
        flow.move_to(0)
        await pilot.pause()
        layouts: list[object] = []
        app.screen.screen_layout_refresh_signal.subscribe(flow, layouts.append, immediate=True)
        grown = tokens("one", *(f" word{n}\n" for n in range(20)))
        for n in (5, 12, 21):
            flow.show(grown[:n])
            await pilot.pause()
        assert layouts == []
        assert (flow.cursor, flow.scroll_offset.y, flow.max_scroll_y) == (20, 14, 14)
        bar = flow.vertical_scrollbar
        assert (bar.window_virtual_size, bar.position) == (20, 14)
        await press(pilot, "home")
        assert (flow.scroll_offset.y, bar.position, cursor_text(flow)) == (0, 0, "one")
        flow.scroll_to(y=9, animate=False)
        await pilot.pause()
        assert flow.render_line(0).text.startswith(" word9↵")
