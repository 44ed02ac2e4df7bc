"""All panels, from top to bottom."""

from __future__ import annotations

from app.tui.panels.cells import CELLS
from app.tui.panels.context import CONTEXT
from app.tui.panels.cost import COST
from app.tui.panels.drafting import SPECULATION
from app.tui.panels.ending import ENDING
from app.tui.panels.latency import LATENCY
from app.tui.panels.model import MODEL
from app.tui.panels.next_token import NEXT_TOKEN
from app.tui.panels.panel import Panel
from app.tui.panels.speed import SPEED
from app.tui.panels.stop import STOP
from app.tui.panels.timing import DECODE, FIRST_TOKEN, PREFILL

PANELS: tuple[Panel, ...] = (
    SPEED,
    PREFILL,
    FIRST_TOKEN,
    DECODE,
    SPECULATION,
    LATENCY,
    COST,
    CONTEXT,
    CELLS,
    NEXT_TOKEN,
    ENDING,
    STOP,
    MODEL,
)
