"""How much of the machine the screen may take: frame rate, priority, garbage collector.

Where inference runs on the CPU, its threads meet at a barrier some hundred times a token, and every burst of the screen
stalls them all: there the screen draws less often and yields to them. With a GPU none of this binds.
"""

from __future__ import annotations

import gc
import os
from contextlib import suppress

from app.protocol.events import ModelReady

FPS = 30.0
FPS_SHARED = 14.0
PANELS_HZ = 5.0
_NICENESS = 5
_LOAD_FACTOR = 3.0
"""A flush may take a third of the time until the next one."""


def flush_interval_s(model: ModelReady | None, configured_fps: int | None) -> float:
    """Returns the shortest time between two flushes of new text."""
    if configured_fps is not None:
        return 1 / max(1, configured_fps)
    shared = model is not None and model.on_cpu
    return 1 / (FPS_SHARED if shared else FPS)


def next_delay_s(shortest_s: float, spent_s: float) -> float:
    """Returns how long to wait after a flush that took `spent_s` of CPU: slow flushes make themselves rarer."""
    return max(shortest_s, _LOAD_FACTOR * spent_s)


def yield_to_engine() -> None:
    """Lowers this process's priority once and for all; needs no privilege."""
    with suppress(OSError, AttributeError):
        if os.getpriority(os.PRIO_PROCESS, 0) < _NICENESS:
            os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)


def warm_up() -> None:
    """Imports what the first reply needs and the first paint does not."""
    from app.tui.markdown.code import prepare
    from app.tui.markdown.dialect import parser

    parser()
    prepare()


def freeze_garbage() -> None:
    """Takes everything made so far out of the collector's sight: its pauses were the longest frames."""
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
