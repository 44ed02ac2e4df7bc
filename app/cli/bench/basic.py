"""Load, prefill and decode of the model alone, the whole loop beside them, first tokens and aborts."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from app.cli.bench.probe import TRACE_TOP_K, Probe, Run, user
from app.cli.bench.rows import MS, RATE, RATIO, BenchRow
from app.domain.sampling import SamplingParams

SUITE = "basic"
N_PROMPT, N_GEN = 512, 128
_N_TTFT = 200
_N_ABORT = 4000
_STORY = "Write a very long story about a lighthouse keeper, with many chapters. Do not stop."


async def measure(probe: Probe, n_reps: int) -> AsyncGenerator[BenchRow]:
    """Yields the rows. The raw decode and the whole loop take turns, so that a drifting machine treats them alike."""
    yield BenchRow(
        suite=SUITE, name="load", unit=MS, values=(await probe.load() * 1e3,), note="the file is in the page cache"
    )
    prefill = [await probe.raw(N_PROMPT, 0, warm_up=not i) for i in range(n_reps)]
    yield BenchRow(
        suite=SUITE, name=f"pp{N_PROMPT}", unit=RATE, values=tuple(prefill), note="raw prefill, as llama-bench"
    )
    raw: list[float] = []
    traced: list[Run] = []
    plain: list[Run] = []
    await _loop(probe, 0, TRACE_TOP_K)
    for i in range(n_reps):
        raw.append(await probe.raw(0, N_GEN, warm_up=not i))
        traced.append(await _loop(probe, i, TRACE_TOP_K))
        plain.append(await _loop(probe, i, 0))
    yield BenchRow(suite=SUITE, name=f"tg{N_GEN}", unit=RATE, values=tuple(raw), note="raw decode, as llama-bench")
    rates = [run.rate for run in traced]
    reported = f"sampling, trace k={TRACE_TOP_K}, text, pipe; {_n_tokens(traced)} tokens"
    yield BenchRow(suite=SUITE, name="whole loop", unit=RATE, values=tuple(rates), note=reported)
    yield BenchRow(suite=SUITE, name="whole loop, no trace", unit=RATE, values=tuple(run.rate for run in plain))
    shares = tuple(loop / alone for loop, alone in zip(rates, raw, strict=True))
    yield BenchRow(suite=SUITE, name=f"whole loop / tg{N_GEN}", unit=RATIO, values=shares)
    pairs = [(a.rate, b.rate) for a, b in zip(traced, plain, strict=True) if a.rate and b.rate]
    costs = tuple(1e3 / with_trace - 1e3 / without for with_trace, without in pairs)
    reported = f"a token, at {probe.native.n_vocab} tokens of vocabulary"
    yield BenchRow(suite=SUITE, name="cost of the trace", unit=MS, values=costs, note=reported)
    async for row in _first_tokens(probe, n_reps):
        yield row
    async for row in _aborts(probe, n_reps):
        yield row


async def _loop(probe: Probe, seed: int, trace_top_k: int) -> Run:
    return await probe.ask(user(_STORY), SamplingParams(seed=seed, max_tokens=N_GEN), trace_top_k=trace_top_k)


def _n_tokens(runs: list[Run]) -> str:
    counts = sorted(run.usage.n_generated for run in runs)
    return f"{counts[0]}" if counts[0] == counts[-1] else f"{counts[0]}–{counts[-1]}"


async def _first_tokens(probe: Probe, n_reps: int) -> AsyncGenerator[BenchRow]:
    cold: list[Run] = []
    warm: list[Run] = []
    for i in range(n_reps):
        question = user(await probe.filler(_N_TTFT))
        cold.append(await probe.ask(question, SamplingParams(seed=i, max_tokens=1)))
        warm.append(await probe.ask(question, SamplingParams(seed=i, max_tokens=1)))
    for name, runs in (("TTFT cold", cold), ("TTFT warm", warm)):
        usage = runs[-1].usage
        note = f"{usage.n_prompt - usage.n_cached} new + {usage.n_cached} cached tokens"
        yield BenchRow(suite=SUITE, name=name, unit=MS, values=tuple(run.ttft_s * 1e3 for run in runs), note=note)


async def _aborts(probe: Probe, n_reps: int) -> AsyncGenerator[BenchRow]:
    assert probe.model is not None
    endless = SamplingParams(seed=1)
    streaming = [await probe.abort(user(_STORY), endless, in_prefill=False) * 1e3 for _ in range(n_reps)]
    yield BenchRow(suite=SUITE, name="abort while streaming", unit=MS, values=tuple(streaming))
    n = min(_N_ABORT, probe.model.n_ctx * 3 // 4)
    inside = [await probe.abort(user(await probe.filler(n)), endless, in_prefill=True) * 1e3 for _ in range(n_reps)]
    yield BenchRow(suite=SUITE, name="abort in a prefill", unit=MS, values=tuple(inside), note=f"of about {n} tokens")
