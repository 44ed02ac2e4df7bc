"""The loaded model."""

from __future__ import annotations

from app.domain import units
from app.domain.text import one_line
from app.protocol.events import ModelReady
from app.tui.panels.panel import Panel
from app.tui.widgets.line import Forms, Line, wrap


def _model(model: ModelReady | None, width: int) -> Forms:
    title: Line = (("MODEL", "title"),)
    if model is None:
        none: Line = (("none loaded", "dim"),)
        return (title, none, (), ()), (title, none)
    layers = " + ".join(f"{one_line(place.device, 12)} {place.n_layers}" for place in model.placement)
    facts = (
        one_line(model.title if model.quant in model.title else f"{model.title} {model.quant}", 60),
        f"{layers}: {model.n_layers - 1} layers + output" if model.n_layers else layers,
        f"KV {units.size(model.kv_bytes)} · {model.n_threads} threads",
    )
    lines: list[Line] = [((wrap(fact, width, 1)[0], "dim"),) for fact in facts]
    return (title, *lines), (title, lines[0])


MODEL = Panel("model", "Model", "What is loaded, and where", 1, lambda figures, width: _model(figures.model, width))
