"""What the cache saves: a follow-up at depth against its tokens alone, a saved state against a prefill."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import msgspec

from app.cli.bench.probe import Probe, Run, user
from app.cli.bench.rows import MS, RATIO, BenchRow
from app.domain.conversation import Role
from app.domain.sampling import SamplingParams
from app.protocol.commands import ChatMessage

SUITE = "reuse"
_N_CACHED, _N_NEW = 3000, 50
_NOT_KEPT = "the engine found no saved state when the model was loaded again"


async def measure(probe: Probe, n_reps: int) -> AsyncGenerator[BenchRow]:
    """Yields the rows; a context window that is too small gives a row with the reason."""
    assert probe.model is not None
    if probe.model.n_ctx < _N_CACHED + 4 * _N_NEW:
        missing = f"the context window holds {probe.model.n_ctx} tokens"
        yield BenchRow(suite=SUITE, name="follow-up TTFT", unit=MS, missing=missing)
        return
    base = user(await probe.filler(_N_CACHED))
    one = SamplingParams(temperature=0.0, max_tokens=1)
    first = await probe.ask(base, one)
    yield BenchRow(suite=SUITE, name=f"prefill {first.usage.n_prompt}", unit=MS, values=(first.ttft_s * 1e3,))
    runs: list[Run] = []
    raw: list[float] = []
    for i in range(n_reps):
        question = ChatMessage(Role.USER, await probe.filler(_N_NEW - 12))
        runs.append(await probe.ask((*base, ChatMessage(Role.ASSISTANT, "Yes."), question), one))
        usage = runs[-1].usage
        n_new = usage.n_prompt - usage.n_cached
        raw.append(n_new / await probe.raw(n_new, 0, usage.n_cached, warm_up=not i) * 1e3)
    usage = runs[-1].usage
    note = f"{usage.n_prompt - usage.n_cached} new + {usage.n_cached} cached tokens"
    times = tuple(run.ttft_s * 1e3 for run in runs)
    yield BenchRow(suite=SUITE, name="follow-up TTFT", unit=MS, values=times, note=note)
    yield BenchRow(suite=SUITE, name="its tokens alone", unit=MS, values=tuple(raw), note="raw prefill at that depth")
    shares = tuple(b / a for a, b in zip(times, raw, strict=True))
    yield BenchRow(suite=SUITE, name="alone / follow-up", unit=RATIO, values=shares)
    async for row in _resumed(probe):
        yield row


async def _resumed(probe: Probe) -> AsyncGenerator[BenchRow]:
    """One conversation saved while the model is loaded again, and its next question after that."""
    one = SamplingParams(temperature=0.0, max_tokens=1)
    base = user(await probe.filler(_N_CACHED))
    await probe.load()  # a slot that held what may not be kept is never saved
    computed = await probe.ask(base, one, cacheable=True)
    await probe.load()
    question = ChatMessage(Role.USER, await probe.filler(_N_NEW - 12))
    run = await probe.ask((*base, ChatMessage(Role.ASSISTANT, "Yes."), question), one)
    row = BenchRow(suite=SUITE, name="resume from disk", unit=MS)
    if run.usage.n_cached < _N_CACHED // 2:
        yield msgspec.structs.replace(row, missing=_NOT_KEPT)
        return
    note = f"{run.usage.n_prompt - run.usage.n_cached} new + {run.usage.n_cached} restored tokens"
    yield msgspec.structs.replace(row, values=(run.ttft_s * 1e3,), note=note)
    gain = computed.ttft_s / run.ttft_s
    yield BenchRow(suite=SUITE, name="prefill / resume", unit=RATIO, values=(gain,))
