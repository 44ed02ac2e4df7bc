"""Prints what many tries of every fault have shown, as a Markdown table: `python -m tests.faults.table [TRIES]`.

TRIES is how often each is tried at most; without it as often as the fault says. The exit code is 1 where one did not
survive.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from tests.faults import app, data, worker
from tests.faults.fault import Fault, Outcome, attempt

FAULTS: tuple[Fault, ...] = (*worker.FAULTS, *app.FAULTS, *data.FAULTS)
_HEAD = "| fault | tried | survived | lost |\n|---|---|---|---|"


async def try_all(faults: Sequence[Fault], most: int | None) -> list[Outcome]:
    """Tries one fault after another; says on standard error how far it is."""
    outcomes: list[Outcome] = []
    for fault in faults:
        outcome = await attempt(fault, min(fault.n_tries, most or fault.n_tries))
        outcomes.append(outcome)
        print(
            f"{outcome.n_survived} of {outcome.n_tried}: {fault.name}", *outcome.failures, sep="\n  ", file=sys.stderr
        )
    return outcomes


def table(outcomes: Sequence[Outcome]) -> str:
    """The table, with a row a fault and one for all."""
    n_tried, n_survived = (sum(getattr(outcome, name) for outcome in outcomes) for name in ("n_tried", "n_survived"))
    return "\n".join((_HEAD, *(outcome.row for outcome in outcomes), f"| all | {n_tried} | {n_survived} | |"))


def main() -> int:
    """Tries everything and prints the table."""
    outcomes = asyncio.run(try_all(FAULTS, int(sys.argv[1]) if len(sys.argv) > 1 else None))
    print(table(outcomes))
    return int(any(outcome.failures for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
