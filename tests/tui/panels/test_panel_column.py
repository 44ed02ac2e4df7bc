"""The panel column and the status line as they are drawn, at fixed figures."""

import pytest
from textual.app import App
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from app.analysis.meter import RunMeter
from app.domain.generation import FinishReason, PromptSpans, Stop, Timings, Usage
from app.domain.trace import TokenTrace, TopToken
from app.protocol.events import (
    GenerationFinished,
    GenerationStarted,
    LayerPlacement,
    PrefillProgress,
    TokensGenerated,
)
from app.tui.panels.column import PanelColumn
from app.tui.panels.status import StatusLine, status
from tests.fakes.engine_events import make_ready

MODEL = make_ready(
    "/m.gguf",
    model_bytes=98 << 20,
    kv_bytes=45 << 20,
    placement=(LayerPlacement("CUDA0", 24), LayerPlacement("CPU", 6)),
)
TOP = (
    TopToken(1, " sky", 0.625), TopToken(2, " sea", 0.25), TopToken(3, "\n", 0.0625), TopToken(4, "[/b]", 0.03),
    TopToken(5, "\x1b", 0.01),
)  # fmt: skip


def token(ms, token_id=1, text=" sky", p=0.625, rank=1):
    return TokenTrace(token_id, text, ms, p, -0.5, rank, 2.3, TOP)


def started():
    return GenerationStarted(1, 859, 812, PromptSpans(34, 778, 47), 7)


def running(n=128):
    meter = RunMeter()
    for event in (started(), PrefillProgress(1, 47, 47, 41.2)):
        meter.apply(event)
    meter.apply(TokensGenerated(1, "", (token(52.0), *(token(12.5) for _ in range(n - 1)))))
    return meter


def done():
    meter = running()
    timings = Timings(0, 1, 41.2, 52.0, 1430.0, 1141.0, 88.8, 11.2, 12.9)
    stop = Stop("eog", "<|im_end|>", 2)
    meter.apply(GenerationFinished(1, FinishReason.STOP, Usage(859, 812, 128), timings, stop))
    return meter


class HostApp(App):
    CSS = "Horizontal, #room { height: 1fr; }"

    def compose(self):
        with Horizontal():
            with Vertical():
                yield Static(id="room")
                yield StatusLine()
            yield PanelColumn()

    def feed(self, meter, model=MODEL):
        self.query_one(PanelColumn).update(meter, model)
        self.query_one(StatusLine).update(meter, model)

    def drawn(self, kind=PanelColumn):
        widget = self.query_one(kind)
        return [widget.render_line(y).text.rstrip() for y in range(widget.content_size.height)]


DONE_AT_200X50 = """\
SPEED                           done
┏━┓┏━┓ ┏━┓
┣━┫┣━┫ ┣━┫  tok/s
┗━┛┗━┛▪┗━┛  last second 80.0
██████

PREFILL                      41.2 ms
47 new + 812 cached       1141 tok/s
██████████████████████████████ 100 %

TTFT                         52.0 ms

DECODE                    128 tokens
p50 11.2 ms              p95 12.9 ms

COST PER TOKEN                   ×13
prefill  0.88 ms █▌
decode   11.3 ms ███████████████████
input: many tokens in one pass
output: one pass for each token

CONTEXT           987 of 8192 · 12 %
SHHHTR······························
S system 34       H history 778
T turn 47         R reply 128
· free 7205

KV-CACHE          986 of 8192 · 12 %
seeePR······························

NEXT TOKEN          entropy 2.3 bits
▶ ␣sky           62 % ████████▊
  ␣sea           25 % ███▌
  ↵             6.2 % ▉
  [/b]          3.0 % ▍
  ␛             1.0 % ▏






STOP
stopped: end of turn <|im_end|>


MODEL
SmolLM2 135M Instruct Q4_1
CUDA0 24 + CPU 6: 29 layers + output
KV 45 MiB · 2 threads"""


RUNNING_AT_80X24 = """\
SPEED                         decode
┏━┓┏━┓ ┏━┓
┣━┫┃ ┃ ┃ ┃  tok/s
┗━┛┗━┛▪┗━┛  average 80.0

PREFILL                      41.2 ms
47 new + 812 cached       1141 tok/s
██████████████████████████████ 100 %
DECODE                      9 tokens
p50 12.5 ms              p95 12.5 ms
CONTEXT           868 of 8192 · 11 %
SHHHTR······························
S system 34       H history 778
T turn 47         R reply 9
· free 7324
NEXT TOKEN          entropy 2.3 bits
▶ ␣sky           62 % ████████▊
  ␣sea           25 % ███▌
  ↵             6.2 % ▉
  [/b]          3.0 % ▍
  ␛             1.0 % ▏
STOP
writing
"""


async def test_a_finished_reply_on_a_large_screen():
    app = HostApp()
    async with app.run_test(size=(200, 50)) as pilot:
        app.feed(done())
        await pilot.pause()
        assert "\n".join(app.drawn()) == DONE_AT_200X50
        assert app.drawn(StatusLine) == [
            "88.8 tok/s │ ctx 12 % │ 47 new + 812 cached │ ttft 52.0 ms │ 128 tokens │ stopped: end of turn <|im_end|>"
        ]


async def test_a_low_screen_keeps_what_matters():
    app = HostApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.feed(running(9))
        await pilot.pause()
        assert "\n".join(app.drawn()) == RUNNING_AT_80X24


async def test_prefill_while_it_runs():
    app = HostApp()
    async with app.run_test(size=(200, 50)) as pilot:
        meter = RunMeter()
        meter.apply(started())
        meter.apply(PrefillProgress(1, 20, 47, 19.0))
        app.feed(meter)
        await pilot.pause()
        assert app.drawn()[6:9] == [
            "PREFILL                      19.0 ms",
            "47 new + 812 cached       1053 tok/s",
            "████████████▊░░░░░░░░░░░░░░░░░  43 %",
        ]
        assert app.drawn()[1:4] == ["", "╺━╸  tok/s", "     average –"]
        assert app.drawn(StatusLine) == ["– tok/s │ ctx 10 % │ 47 new + 812 cached │ ttft – │ 0 tokens │ prefill 43 %"]


async def test_nothing_is_loaded_yet():
    app = HostApp()
    async with app.run_test(size=(200, 50)) as pilot:
        app.feed(RunMeter(), None)
        await pilot.pause()
        drawn = app.drawn()
        assert drawn[21:23] == ["CONTEXT                            –", "·" * 36]
        assert drawn[drawn.index("MODEL") + 1] == "none loaded"
        assert drawn[drawn.index("STOP") + 1] == "no reply yet"


async def test_the_chosen_token_beyond_the_shown_ones_is_marked_with_its_rank():
    app = HostApp()
    async with app.run_test(size=(200, 50)) as pilot:
        meter = running(2)
        meter.apply(TokensGenerated(1, "", (token(10.0, 99, " fog", 0.0004, 57),)))
        app.feed(meter)
        await pilot.pause()
        row = next(line for line in app.drawn() if line.startswith("▶"))
        assert row == "▶ ␣fog         0.04 % rank 57"


async def test_only_changed_lines_are_painted(monkeypatch):
    app = HostApp()
    async with app.run_test(size=(200, 50)) as pilot:
        meter = running(45)
        app.feed(meter)
        await pilot.pause()
        column, painted = app.query_one(PanelColumn), []
        monkeypatch.setattr(column, "refresh", lambda *regions: painted.extend(region.y for region in regions))
        app.feed(meter)
        assert painted == []
        meter.apply(TokensGenerated(1, "", (token(12.5),)))
        app.feed(meter)
        titles = [column.shown[y].split("  ")[0] for y in painted]
        assert titles == ["DECODE", "CONTEXT", "T turn 47", "· free 7287", "KV-CACHE"]


async def test_the_panels_stand_still_while_figures_change():
    app = HostApp()
    async with app.run_test(size=(200, 50)) as pilot:
        rows = []
        for meter, model in ((RunMeter(), None), (RunMeter(), MODEL), (running(1), MODEL), (done(), MODEL)):
            app.feed(meter, model)
            await pilot.pause()
            rows.append([app.drawn().index(name) for name in ("STOP", "MODEL")])
        assert rows == [rows[0]] * 4


async def test_a_theme_change_draws_the_same_text_in_other_colours():
    app = HostApp()
    async with app.run_test(size=(200, 50)) as pilot:
        app.feed(done())
        await pilot.pause()
        column = app.query_one(PanelColumn)
        before, colours = app.drawn(), next(iter(column.render_line(0))).style.color
        app.theme = "textual-light"
        await pilot.pause()
        assert app.drawn() == before
        assert next(iter(column.render_line(0))).style.color != colours


@pytest.mark.parametrize(
    ("width", "meter", "expected"),
    [
        (78, done(), "88.8 tok/s │ ctx 12 % │ 47 new + 812 cached │ ttft 52.0 ms │ end of turn"),
        (
            110,
            done(),
            "88.8 tok/s │ ctx 12 % │ 47 new + 812 cached │ ttft 52.0 ms │ 128 tokens │ stopped: end of turn <|im_end|>",
        ),
        (78, running(9), "80.0 tok/s │ ctx 11 % │ 47 new + 812 cached │ ttft 52.0 ms │ 9 tokens │ decode"),
        (58, running(9), "80.0 tok/s │ ctx 11 % │ 47 new + 812 cached │ decode"),
        (38, done(), "88.8 tok/s │ ctx 12 % │ end of turn"),
        (38, RunMeter(), "– tok/s │ ctx 0.0 % │ idle"),
    ],
)
def test_the_status_line_keeps_what_fits(width, meter, expected):
    assert "".join(text for text, _ in status(meter, MODEL, width)) == expected


@pytest.mark.parametrize("theme", ["ansi-dark", "ansi-light", "textual-dark", "nord"])
async def test_every_kind_of_theme_draws(theme):
    app = HostApp()
    async with app.run_test(size=(200, 50)) as pilot:
        app.theme = theme
        app.feed(done())
        await pilot.pause()
        assert app.drawn()[0] == "SPEED                           done"


async def test_a_hidden_column_costs_nothing_and_is_right_when_shown():
    app = HostApp()
    async with app.run_test(size=(200, 50)) as pilot:
        column = app.query_one(PanelColumn)
        app.feed(RunMeter())
        column.display = False
        await pilot.pause()
        before = column.shown
        app.feed(done())
        assert column.shown == before
        column.display = True
        await pilot.pause()
        assert "\n".join(app.drawn()) == DONE_AT_200X50


async def test_resizing_draws_again():
    app = HostApp()
    async with app.run_test(size=(80, 50)) as pilot:
        app.feed(done())
        await pilot.pause()
        for width, height in ((40, 10), (200, 60), (80, 1), (120, 30)):
            await pilot.resize_terminal(width, height)
            await pilot.pause()
            assert len(app.drawn()) == height
            assert len(app.query_one(PanelColumn).shown) <= height
