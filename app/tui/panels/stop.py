"""Why the reply ended."""

from __future__ import annotations

from app.analysis.meter import Phase, RunMeter
from app.domain.generation import FinishReason
from app.tui.panels.panel import Panel
from app.tui.widgets.line import Forms, Line, wrap

_FINISH_ROLES = {
    FinishReason.STOP: "ok",
    FinishReason.LENGTH: "warn",
    FinishReason.CONTEXT: "warn",
    FinishReason.ABORT: "warn",
    FinishReason.ERROR: "bad",
}


def finish_role(meter: RunMeter) -> str:
    """Returns the role in which the end of a reply is drawn."""
    return _FINISH_ROLES[meter.finish_reason] if meter.finish_reason else "dim"


def _stop(meter: RunMeter, width: int) -> Forms:
    title: Line = (("STOP", "title"),)
    waiting = {
        Phase.IDLE: "no reply yet",
        Phase.QUEUED: "waiting for a paused reply to end" if meter.held_by else "waiting for the engine",
        Phase.PREFILL: "reading the prompt",
        Phase.DECODE: "writing",
        Phase.PAUSED: "held before its next token",
    }
    words, role = (meter.finish, finish_role(meter)) if meter.finish else (waiting.get(meter.phase, ""), "dim")
    two: list[Line] = [((line, role),) for line in wrap(words, width, 2)]
    one: Line = ((wrap(words, width, 1)[0], role),)
    return (title, *two, *[()] * (2 - len(two))), (title, one), (one,)


STOP = Panel("stop", "Stop", "Why the reply ended", 5, lambda figures, width: _stop(figures.meter, width))
