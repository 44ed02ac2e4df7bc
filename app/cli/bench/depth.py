"""The model alone with a long context in its cache."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from app.cli.bench.basic import N_GEN, N_PROMPT
from app.cli.bench.probe import Probe
from app.cli.bench.rows import RATE, BenchRow

SUITE = "depth"
DEPTH = 4096


async def measure(probe: Probe, n_reps: int) -> AsyncGenerator[BenchRow]:
    """Yields prefill and decode at `DEPTH`."""
    for name, n_prompt, n_gen in ((f"pp{N_PROMPT}", N_PROMPT, 0), (f"tg{N_GEN}", 0, N_GEN)):
        row = BenchRow(suite=SUITE, name=f"{name} @ d{DEPTH}", unit=RATE)
        if 0 < probe.native.n_ctx_train < DEPTH + n_prompt + n_gen:
            missing = f"the model was trained on {probe.native.n_ctx_train} tokens"
            yield BenchRow(suite=SUITE, name=row.name, unit=RATE, missing=missing)
            continue
        values = tuple([await probe.raw(n_prompt, n_gen, DEPTH, warm_up=not i) for i in range(n_reps)])
        yield BenchRow(suite=SUITE, name=row.name, unit=RATE, values=values, note="as llama-bench -d")
