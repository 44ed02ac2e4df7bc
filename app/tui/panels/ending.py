"""Why a reply stops, or why it does not: each thing that could end it and how far away it is. Pure."""

from __future__ import annotations

from math import log10

from app.analysis.ending import N_MOMENTS, Ending, ReplyContext
from app.analysis.meter import Phase, RunMeter
from app.domain import units
from app.domain.probability import percent
from app.protocol.events import ModelReady
from app.tui.panels.latency import plot
from app.tui.panels.panel import Panel, PanelPage
from app.tui.widgets.line import Forms, Line, levels, spread, visible, wrap

_DECADES = 6
"""The scale: 10^-6 is at the foot, 1 at the top."""
_LIKELY = 0.1


def ending_forms(meter: RunMeter, width: int) -> Forms:
    """Returns the panel of the column in its forms, the fullest first."""
    ending = meter.ending
    now = units.UNKNOWN if ending.now is None else percent(ending.now)
    title = spread((("P(END OF TEXT)", "title"),), (("now ", "dim"), (now, "value")), width)
    curve: Line = ((levels([height_of(p) for p in ending.recent], width), "spark"),)
    most = ending.moments[:1]
    words = f"most {percent(most[0].p)} at token {most[0].at}" if most and ending.known else "most –"
    figures: Line = ((f"{words} · ▁ 10⁻⁶ █ 1", "dim"),)
    return (title, curve, figures), (title, curve), (title,)


def ending_page(
    meter: RunMeter, model: ModelReady | None, setting: ReplyContext, width: int, height: int
) -> list[Line]:
    """Returns the whole story in at most `height` lines."""
    ending = meter.ending
    title = spread((("WHY IT STOPS", "title"),), ((meter.finish or meter.phase.value, "value"),), width)
    lines: list[Line] = [title, *[((line, "text"),) for line in wrap(_verdict(meter), width, 2)], ()]
    lines += _stop_conditions(meter, model, setting)
    lines += [(), (("P(end of text) at each of the last tokens, on a log scale", "dim"),)]
    n_moments = min(4, len(ending.moments)) if ending.known else 0
    n_rows = max(2, min(8, height - len(lines) - n_moments - 2))
    labels = {0: "100 %", n_rows - 1: "≤10⁻⁴ %"}
    curve = [(height_of(p), height_of(p)) for p in list(ending.recent)[-2 * (width - 8) :]]
    strokes = [(0.0, high) for _, high in curve] if ending.known else []
    lines += [
        ((f"{labels.get(row, ''):>6} ", "dim"), *line)
        for row, line in enumerate(plot(strokes, (), 1.0, width - 8, n_rows))
    ]
    if n_moments:
        lines += [(), (("Where it could have ended", "title"), (" · and what came instead", "dim"))]
        for moment in ending.moments[: max(0, height - len(lines))]:
            lines.append(
                (
                    (f"token {moment.at:<6}", "text"),
                    (f"{percent(moment.p):>9}  ", "value"),
                    (visible(moment.text, 24), "text"),
                )
            )
    return lines[:height]


def height_of(p: float) -> float:
    """Returns where a probability stands on the scale of the last decades, 0 to 1."""
    return max(0.0, 1 + log10(p) / _DECADES) if p > 0 else 0.0


def _verdict(meter: RunMeter) -> str:
    ending = meter.ending
    if not ending.n:
        return "Nothing has been written yet."
    if not ending.known:
        return "The engine does not report how likely an end was."
    if meter.stop is not None and meter.stop.kind == "eog":
        return f"The model ended it: an end token with p = {percent(ending.now or 0.0)} was drawn."
    n_likely = sum(moment.p >= _LIKELY for moment in ending.moments)
    if n_likely:
        times = "once" if n_likely == 1 else "many times" if n_likely > N_MOMENTS else f"{n_likely} times"
        return f"An end was likely (10 % or more) {times}, but another token was drawn."
    most = percent(_most(ending))
    if meter.phase is Phase.DONE:
        return f"The model did not end it: p(end) was never above {most}."
    return f"It continues: p(end) was never above {most}."


def _most(ending: Ending) -> float:
    return ending.moments[0].p if ending.moments else 0.0


def _stop_conditions(meter: RunMeter, model: ModelReady | None, setting: ReplyContext) -> list[Line]:
    ending, limit = meter.ending, setting.sampling.max_tokens
    now = units.UNKNOWN if ending.now is None else f"{percent(ending.now)} at the last token"
    far = "" if ending.survival is None else f"{percent(ending.survival)} of plain draws get this far"
    n_strings = len(setting.sampling.stop)
    used = units.UNKNOWN
    if model is not None and model.n_ctx and meter.context_known:
        use = meter.context(model.n_ctx)
        used = f"{units.count(use.n_used)} of {units.count(use.n_ctx)} tokens"
    full = "then the reply ends" if setting.policy == "stop" else "then the oldest tokens are dropped"
    rows = (
        ("end of turn", now, far),
        ("stop strings", str(n_strings) if n_strings else "none", ""),
        ("length limit", f"{meter.n_generated} of {limit} tokens" if limit else "none", ""),
        ("context window", used, full),
    )
    return [((f"{name:<15}", "dim"), (f"{value:<24} ", "value"), (rest, "dim")) for name, value, rest in rows]


ENDING = Panel(
    "ending",
    "Ending",
    "What can end the reply, and how near it is",
    1,
    lambda figures, width: ending_forms(figures.meter, width),
    PanelPage(
        lambda figures, width, height: ending_page(figures.meter, figures.model, figures.context, width, height),
        "the ending",
        "Lists what can end a reply and how far away each of them is. The curve is the chance that the model gave to "
        "stopping there: flat and low means that it was in the middle of something.",
    ),
    extra=True,
)
