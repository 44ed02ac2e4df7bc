"""A server of models by this app's clock: the first token, the speed, and 1 to 32 requests at once.

Any engine can be measured so, to compare servers and this machine. No figure is the engine's own but the token counts.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncGenerator

from app.cli.bench.probe import Probe, Run, user
from app.cli.bench.rows import MS, RATE, BenchRow
from app.domain.sampling import SamplingParams

SUITE = "server"
AT_ONCE = (1, 2, 4, 8, 16, 32)
_N_LONG = 1000
_N_TOKENS = 64
_UNCOUNTED = "the server does not count its tokens"


async def measure(probe: Probe, n_reps: int) -> AsyncGenerator[BenchRow]:
    """Yields first tokens after a short and a long prompt, then for each number of requests the speed of all."""
    one = SamplingParams(temperature=0.0, max_tokens=1)
    await _ask(probe, "Hello", one)  # the first request may open connections and load the model
    yield _row("TTFT", MS, [(await _ask(probe, await probe.filler(8), one)).ttft_s * 1000 for _ in range(n_reps)])
    long = [await _ask(probe, await probe.filler(_N_LONG), one) for _ in range(n_reps)]
    yield _row("TTFT, long prompt", MS, [run.ttft_s * 1000 for run in long], _prompt_note(long))
    for n in AT_ONCE:
        rounds = [await _together(probe, n) for _ in range(n_reps)]
        firsts = [statistics.median(run.ttft_s for run in runs) * 1000 for runs, _ in rounds]
        yield _row(f"{n} at once", RATE, [rate for _, rate in rounds if rate])
        yield _row(f"{n} at once, TTFT", MS, firsts, "median of the requests" if n > 1 else "")


def _row(name: str, unit: str, values: list[float], note: str = "") -> BenchRow:
    return BenchRow(
        suite=SUITE, name=name, unit=unit, values=tuple(values), note=note, missing="" if values else _UNCOUNTED
    )


def _prompt_note(runs: list[Run]) -> str:
    n_prompt = runs[-1].usage.n_prompt
    return f"{n_prompt} tokens" if n_prompt else f"about {_N_LONG} words"


async def _ask(probe: Probe, text: str, sampling: SamplingParams) -> Run:
    return await probe.ask(user(text), sampling, trace_top_k=0)


async def _together(probe: Probe, n: int) -> tuple[list[Run], float]:
    """The requests, and the tokens a second of all from the first request to the last end; 0 if not counted."""
    prompts = [f"{await probe.filler(16)}. Write a long story." for _ in range(n)]
    sampling = SamplingParams(max_tokens=_N_TOKENS)
    began = time.perf_counter()
    runs = await asyncio.gather(*(_ask(probe, prompt, sampling) for prompt in prompts))
    return runs, sum(run.usage.n_generated for run in runs) / (time.perf_counter() - began)
