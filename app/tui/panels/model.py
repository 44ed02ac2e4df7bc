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
    if (native := model.native) is None:
        said = [model.title, *model.server, "", ""][:3]
        known: list[Line] = [((wrap(one_line(line, 60), width, 1)[0], "dim"),) if line else () for line in said]
        return (title, *known), (title, known[0])
    layers = " + ".join(f"{one_line(place.device, 12)} {place.n_layers}" for place in native.placement)
    facts = (
        one_line(model.title if native.quant in model.title else f"{model.title} {native.quant}", 60),
        f"{layers}: {native.n_layers - 1} layers + output" if native.n_layers else layers,
        f"KV {units.size(native.kv_bytes)} · {native.n_threads} threads",
    )
    lines: list[Line] = [((wrap(fact, width, 1)[0], "dim"),) for fact in facts]
    return (title, *lines), (title, lines[0])


MODEL = Panel("model", "Model", "What is loaded, and where", 1, lambda figures, width: _model(figures.model, width))
