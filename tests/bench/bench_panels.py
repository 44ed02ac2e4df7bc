"""CPU per 5 Hz tick of the panel column, the status line and the pages of watching, with the frame that it causes.

Run by hand in a terminal or a pty (headless Textual skips the escape sequences): python tests/bench/bench_panels.py
The figures go to standard error, or to the file named as the first argument.
"""

import asyncio
import gc
import math
import random
import sys
import time
from functools import partial
from pathlib import Path

from textual.app import App
from textual.containers import Horizontal, Vertical
from textual.geometry import Region
from textual.widgets import Static

from app.analysis.ending import ReplyContext
from app.analysis.meter import RunMeter
from app.domain.generation import PromptSpans
from app.domain.trace import TokenTrace, TopToken
from app.protocol.events import GenerationStarted, LayerPlacement, PrefillProgress, TokensGenerated
from app.tui.panels.choice import PanelChoice
from app.tui.panels.column import PanelColumn
from app.tui.panels.pages import PAGES, page
from app.tui.panels.registry import PANELS
from app.tui.panels.status import StatusLine
from app.tui.tokens.reply import ReplyTokens
from app.tui.tokens.tint import Tint
from tests.fakes.engine_events import make_ready

N_TICKS = 200
TOKENS_A_TICK = 18
MODEL = make_ready("/m.gguf", model_bytes=98 << 20, kv_bytes=45 << 20, placement=(LayerPlacement("CPU", 30),))


def token(rng: random.Random) -> TokenTrace:
    weights = sorted((rng.random() ** 4 for _ in range(10)), reverse=True)
    top = tuple(TopToken(i, f" word{i}", w / sum(weights)) for i, w in enumerate(weights))
    return TokenTrace(
        0,
        " word0",
        rng.uniform(9, 13),
        top[0].p,
        math.log(top[0].p),
        1,
        rng.random() * 4,
        top,
        p_end=rng.random() ** 8,
        decode_ms=8.5,
        sample_ms=0.3,
        text_ms=0.1,
    )


class Bench(App[str]):
    CSS = "Static { height: 1fr; }"

    def compose(self):
        with Horizontal():
            with Vertical():
                yield Static()
                yield ReplyTokens()
                yield StatusLine()
            yield PanelColumn()

    def on_ready(self) -> None:
        self.run_worker(self.measure())

    async def measure(self) -> None:
        rng, meter = random.Random(1), RunMeter()
        meter.apply(GenerationStarted(1, 859, 812, PromptSpans(34, 778, 47), 7))
        meter.apply(PrefillProgress(1, 47, 47, 41.2))
        column, status, blank = self.query_one(PanelColumn), self.query_one(StatusLine), self.query_one(Static)
        flow = self.query_one(ReplyTokens)
        flow.tint, flow.ghosts, flow.follow = Tint.ORIGIN, True, True
        fold: list[float] = []
        rows = []
        gc.collect()
        gc.freeze()

        def fold_tokens() -> None:
            event = TokensGenerated(1, "", tuple(token(rng) for _ in range(TOKENS_A_TICK)))
            start = time.process_time()
            meter.apply(event)
            fold.append((time.process_time() - start) * 1e3)

        cases = {
            "bare frame (one cell)": lambda: blank.refresh(Region(0, 0, 1, 1)),
            "column": lambda: column.update(meter, MODEL),
            "column, not shown": lambda: column.compose_lines(meter, MODEL, 36, 50),
            "status line": lambda: status.update(meter, MODEL),
            "tokens with their origin": lambda: flow.show(tuple(meter.tokens)),
        }
        watched = {f"page of {name}": partial(page, name, meter, MODEL, ReplyContext(), 136, 36) for name in PAGES}
        for name, tick in (*cases.items(), ("column, all chosen", cases["column"]), *watched.items()):
            per = []
            if name == "column, all chosen":
                column.choice = PanelChoice(",".join(f"{panel.name}=shown" for panel in PANELS if panel.extra))
            for _ in range(N_TICKS):
                fold_tokens()
                done = asyncio.Event()
                start = time.process_time()
                tick()
                self.call_after_refresh(done.set)
                await done.wait()
                per.append((time.process_time() - start) * 1e3)
            rows.append(describe(name, per))
        rows.append(describe(f"fold {TOKENS_A_TICK} tokens", fold))
        self.exit("\n".join(rows))


def describe(name: str, per: list[float]) -> str:
    per = sorted(per)
    return f"{name:24} p50 {per[len(per) // 2]:.2f}  p95 {per[int(len(per) * 0.95)]:.2f}  max {per[-1]:.2f} ms"


if __name__ == "__main__":
    report = Bench().run() or ""
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(report + "\n", encoding="utf-8")
    else:
        print(report, file=sys.stderr)
