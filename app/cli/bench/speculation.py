"""What drafting gains by task and temperature: n-gram lookup and a draft model, against the same request without."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence

import msgspec

from app.cli.bench.probe import Probe, Prompt, Run, user
from app.cli.bench.rows import RATE, RATIO, BenchRow
from app.domain import units
from app.domain.errors import ModelError
from app.domain.generation import DraftCounts
from app.domain.sampling import SamplingParams

SUITE = "speculation"
_N_TOKENS = 192
_LIST = """\
1. The red cup is on the table.
2. The old book is on the shelf.
3. The blue lamp is on the desk.
4. The green box is on the floor."""
TASKS: dict[str, Prompt] = {
    "repetitive": f"{_LIST}\n" * 3,
    "short copy": user(f"Repeat this list four times, word by word:\n\n{_LIST}"),
    "code": user("Write a Python class Stack with push, pop, peek, is_empty and size, and then a test of each method."),
    "free chat": user("What do you think makes a good friend? Tell me about it in your own words."),
}
"""The first is plain text to continue, without a template: asked to repeat something, a small model soon stops."""
TEMPERATURES = {"greedy": 0.0, "t=0.8": 0.8}


class _Task(msgspec.Struct, frozen=True):
    name: str
    prompt: Prompt
    temperature: float

    def sampling(self, seed: int) -> SamplingParams:
        return SamplingParams(temperature=self.temperature, seed=seed, max_tokens=_N_TOKENS)


async def measure(probe: Probe, n_reps: int) -> AsyncGenerator[BenchRow]:
    """Yields the rows of n-gram lookup, plain and drafted in turn, and then those of the draft model."""
    for task in _tasks():
        plain, drafted = await _in_turn(probe, task, n_reps, speculate=True)
        yield BenchRow(suite=SUITE, name=f"{task.name}, plain", unit=RATE, values=tuple(run.rate for run in plain))
        for row in _rows(f"{task.name}, n-gram", plain, drafted):
            yield row
    async for row in _with_draft_model(probe, n_reps):
        yield row


async def _in_turn(probe: Probe, task: _Task, n_reps: int, *, speculate: bool | None) -> tuple[list[Run], list[Run]]:
    """Plain and drafted runs; `speculate` as in `Generate`."""
    plain, drafted = list[Run](), list[Run]()
    for seed in range(n_reps):
        plain.append(await probe.ask(task.prompt, task.sampling(seed), speculate=False))
        drafted.append(await probe.ask(task.prompt, task.sampling(seed), speculate=speculate))
    return plain, drafted


def _tasks() -> Iterator[_Task]:
    for name, prompt in TASKS.items():
        for how, temperature in TEMPERATURES.items():
            yield _Task(f"{name}, {how}", prompt, temperature)


async def _with_draft_model(probe: Probe, n_reps: int) -> AsyncGenerator[BenchRow]:
    missing = "" if probe.draft else "needs a draft model (--draft)"
    if probe.draft:
        options = msgspec.structs.replace(probe.command.options, draft=probe.draft)
        try:
            await probe.load(msgspec.structs.replace(probe.command, options=options))
        except ModelError as error:
            missing = str(error)
    if missing:
        yield BenchRow(suite=SUITE, name="draft model", unit=RATE, missing=missing)
    else:
        for task in _tasks():
            for row in _rows(f"{task.name}, draft model", *await _in_turn(probe, task, n_reps, speculate=None)):
                yield row
    if probe.draft:
        await probe.load()


def _rows(name: str, plain: Sequence[Run], drafted: Sequence[Run]) -> Iterator[BenchRow]:
    yield BenchRow(
        suite=SUITE, name=name, unit=RATE, values=tuple(run.rate for run in drafted), note=_drafts_note(drafted)
    )
    gains = tuple(b.rate / a.rate for a, b in zip(plain, drafted, strict=True) if a.rate and b.rate)
    yield BenchRow(
        suite=SUITE, name=f"{name}, gain", unit=RATIO, values=gains, missing="" if gains else "replies too short"
    )


def _drafts_note(runs: Sequence[Run]) -> str:
    counts = [run.drafting or DraftCounts() for run in runs]
    n_drafted, n_accepted = sum(count.n_drafted for count in counts), sum(count.n_accepted for count in counts)
    share = f" ({units.percent(n_accepted / n_drafted)})" if n_drafted else ""
    return f"drafted {n_drafted}, accepted {n_accepted}{share}"
