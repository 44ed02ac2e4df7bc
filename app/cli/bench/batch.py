"""Aggregate speed of several requests at once: unrelated ones, and continuations of one prompt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import msgspec

from app.cli.bench.probe import Probe, Run, user
from app.cli.bench.rows import RATE, RATIO, BenchRow
from app.domain.errors import ModelError
from app.domain.sampling import SamplingParams

SUITE = "batch"
SEQUENCES = (1, 2, 4, 8, 16)
_N_TOKENS = 96
_N_CTX = 512
_TOPICS = (
    "a fox", "the sea", "a clock", "two brothers", "a train", "the moon", "a baker", "winter",
    "a violin", "the desert", "a map", "an old dog", "a storm", "the circus", "a garden", "a letter",
)  # fmt: skip


async def measure(probe: Probe, n_reps: int) -> AsyncGenerator[BenchRow]:
    """Yields rates and their gain over one sequence. Loads the model with as many slots, and at the end as it was."""
    options = msgspec.structs.replace(probe.command.options, n_slots=max(SEQUENCES), n_ctx=_N_CTX)
    try:
        await probe.load(msgspec.structs.replace(probe.command, options=options))
    except ModelError as error:
        yield BenchRow(suite=SUITE, name="sequences", unit=RATE, missing=str(error))
        return
    assert probe.model is not None
    alone = 0.0
    for shares_prefix, kind in ((False, "unrelated"), (True, "of one prompt")):
        for n in SEQUENCES:
            name = f"{n} {kind}"
            if n > probe.native.n_slots:
                missing = f"only {probe.native.n_slots} slots fit in memory"
                yield BenchRow(suite=SUITE, name=name, unit=RATE, missing=missing)
                continue
            rates = [await _together(probe, n, seed, shares_prefix=shares_prefix) for seed in range(n_reps)]
            values = tuple(rate for rate in rates if rate)
            row = BenchRow(
                suite=SUITE, name=name, unit=RATE, values=values, missing="" if values else "too short to measure"
            )
            yield row
            if n == 1 and values:
                alone = row.mean
            elif alone and values:
                gains = tuple(value / alone for value in values)
                yield BenchRow(suite=SUITE, name=f"{name}, gain", unit=RATIO, values=gains)
    await probe.load()


async def _together(probe: Probe, n: int, seed: int, *, shares_prefix: bool) -> float:
    """Tokens a second of all together while all of them decode; 0 where that never was."""

    async def one(i: int) -> Run:
        text = f"Write a long story about {_TOPICS[0 if shares_prefix else i]}."
        sampling = SamplingParams(seed=seed * 100 + i, max_tokens=_N_TOKENS)
        return await probe.ask(user(text), sampling, shares_prefix=shares_prefix)

    runs = await asyncio.gather(*(one(i) for i in range(n)))
    begin, end = max(run.ttft_s for run in runs), min(run.finished_s for run in runs)
    n_tokens = sum(count for run in runs for at, count in run.arrivals if begin < at <= end)
    return n_tokens / (end - begin) if end > begin else 0.0
