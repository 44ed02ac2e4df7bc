"""A fault, and what many tries of it have shown."""

from __future__ import annotations

import os
import random
import tempfile
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

Try = Callable[[Path, random.Random], Awaitable[str]]
"""Does the harm in a folder of its own, choosing at random where; returns what was lost, in words, or nothing.

Raises AssertionError where the program did not survive: a crash, a hang, a wrong answer, a broken terminal.
"""

NOTHING = "nothing"


@dataclass(frozen=True)
class Fault:
    """What is done, in words; how, and how often in the full run."""

    name: str
    attempt: Try
    n_tries: int = 20


@dataclass
class Outcome:
    """What the tries of one fault have shown."""

    fault: Fault
    n_tried: int = 0
    n_survived: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    @property
    def row(self) -> str:
        """A row of the table: fault, tried, survived, lost."""
        lost = "; ".join(what for what, _ in self.lost.most_common() if what != NOTHING) or NOTHING
        return f"| {self.fault.name} | {self.n_tried} | {self.n_survived} | {lost if self.n_survived else '?'} |"


@contextmanager
def own_folders(folder: Path) -> Iterator[None]:
    """Configuration, data and cache of the tries lie in `folder`."""
    names = {f"TOKSCOPE_{kind.upper()}_DIR": str(folder / kind) for kind in ("config", "data", "cache")}
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


async def attempt(fault: Fault, n_tries: int, seed: int = 1) -> Outcome:
    """Tries a fault so often; the same seed does the same harm."""
    outcome = Outcome(fault)
    for number in range(n_tries):
        outcome.n_tried += 1
        with tempfile.TemporaryDirectory(prefix="tok-fault-") as folder, own_folders(Path(folder)):
            try:
                lost = await fault.attempt(Path(folder), random.Random(f"{seed} {fault.name} {number}"))
            except Exception as error:
                place = traceback.extract_tb(error.__traceback__)[-1]
                at = f"{Path(place.filename).name}:{place.lineno}: {place.line}"
                outcome.failures.append(f"try {number}: {type(error).__name__}: {error} at {at}")
            else:
                outcome.n_survived += 1
                outcome.lost[lost or NOTHING] += 1
    return outcome
