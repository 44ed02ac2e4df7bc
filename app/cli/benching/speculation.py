"""What drafting by n-gram lookup gains, by task and temperature, against the same request without it."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from app.cli.benching.probe import Probe, Run, user
from app.cli.benching.rows import RATE, RATIO, Row
from app.domain.generation import DraftCounts
from app.domain.sampling import SamplingParams

SUITE = "speculation"
_N_TOKENS = 192
_LINES = "\n".join(
    f"{i}. The {thing} is on the {place}."
    for i, (thing, place) in enumerate(
        [("red cup", "table"), ("old book", "shelf"), ("blue lamp", "desk"), ("green box", "floor")], 1
    )
)
TASKS = {
    "repetitive": f"Repeat this list four times, word by word:\n\n{_LINES}",
    "code": "Write a Python class Stack with push, pop, peek, is_empty and size, and then a test of each method.",
    "free chat": "What do you think makes a good friend? Tell me about it in your own words.",
}
TEMPERATURES = {"greedy": 0.0, "t=0.8": 0.8}


async def measure(probe: Probe, n_reps: int) -> AsyncGenerator[Row]:
    """Yields the gain of each task, and last the row that there is none of."""
    for task, text in TASKS.items():
        for how, temperature in TEMPERATURES.items():
            plain: list[Run] = []
            drafted: list[Run] = []
            for i in range(n_reps):
                sampling = SamplingParams(temperature=temperature, seed=i, max_tokens=_N_TOKENS)
                plain.append(await probe.ask(user(text), sampling))
                drafted.append(await probe.ask(user(text), sampling, speculate=True))
            name = f"{task}, {how}"
            yield Row(suite=SUITE, name=f"{name}, plain", unit=RATE, values=tuple(run.rate for run in plain))
            yield Row(suite=SUITE, name=name, unit=RATE, values=tuple(run.rate for run in drafted), note=_told(drafted))
            gains = tuple(b.rate / a.rate for a, b in zip(plain, drafted, strict=True) if a.rate and b.rate)
            missing = "" if gains else "the replies were too short"
            yield Row(suite=SUITE, name=f"{name}, gain", unit=RATIO, values=gains, missing=missing)


def _told(runs: list[Run]) -> str:
    counts = [run.drafting or DraftCounts() for run in runs]
    n_drafted, n_accepted = (sum(getattr(count, name) for count in counts) for name in ("n_drafted", "n_accepted"))
    share = f" ({n_accepted / n_drafted:.0%})" if n_drafted else ""
    return f"drafted {n_drafted}, accepted {n_accepted}{share}"
