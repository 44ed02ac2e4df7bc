"""Says on standard error that the engine hangs, and that it goes on."""

from __future__ import annotations

import asyncio

from app.cli import console
from app.client.engine import Engine

_LOOK_S = 0.5


async def report_stalls(engine: Engine) -> None:
    """Looks at the engine until it is cancelled."""
    stalled = False
    while True:
        await asyncio.sleep(_LOOK_S)
        stall = engine.stall
        if stall and not stalled:
            what = "made no progress" if stall.answers else "not answered"
            console.print_error(f"the engine has {what} for {stall.seconds:.0f} s", "waiting; Ctrl-C ends it")
        elif stalled and not stall:
            console.talk("tok: the engine answers again")
        stalled = stall is not None
