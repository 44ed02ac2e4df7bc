"""What each panel says about a reply, as lines. Pure: figures in, lines out; the layout chooses among the forms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.analysis import units as numbers
from app.analysis.ending import ReplyContext
from app.analysis.meter import Phase, RunMeter
from app.domain.generation import FinishReason
from app.domain.probability import percent
from app.domain.text import one_line
from app.protocol.events import ModelReady
from app.tui.panels.cells import cells_forms
from app.tui.panels.choice import PANELS, PanelChoice, Visibility
from app.tui.panels.drafting import drafting_forms
from app.tui.panels.ending import ending_forms
from app.tui.panels.latency import latency_forms
from app.tui.widgets.line import Forms, Line, bar, big, gauge, p_role, share, spark, spread, visible, width_of, wrap

N_CANDIDATES = 10
_CHOSEN = 100
"""What a panel gains in importance when the user wants it."""
_SETTING, _CHOICE = ReplyContext(), PanelChoice()
_FINISH_ROLES = {
    FinishReason.STOP: "ok",
    FinishReason.LENGTH: "warn",
    FinishReason.CONTEXT: "warn",
    FinishReason.ABORT: "warn",
    FinishReason.ERROR: "bad",
}


@dataclass(frozen=True)
class PanelText:
    """One panel in every form it can take, the fullest first. A form's height never depends on the figures."""

    name: str
    importance: int
    """The least important shrink and go first where the screen is low."""
    forms: Forms
    extra: bool = False
    """Whether it is seen only where all the others have the room they want."""


def sections(
    meter: RunMeter,
    model: ModelReady | None,
    width: int,
    setting: ReplyContext = _SETTING,
    choice: PanelChoice = _CHOICE,
    *,
    extras: bool = True,
) -> tuple[PanelText, ...]:
    """Returns the panels that are not hidden from top to bottom, drawn for `width` cells.

    `extras`: with those that need room that nobody else wants.
    """
    drawn: dict[str, tuple[int, Callable[[], Forms]]] = {
        "speed": (9, lambda: _speed(meter, width)),
        "prefill": (7, lambda: _prefill(meter, width)),
        "ttft": (3, lambda: ((_row("TTFT", numbers.ms(meter.ttft_ms), width),),)),
        "decode": (6, lambda: _decode(meter, width)),
        "speculation": (2, lambda: drafting_forms(meter, setting, width)),
        "latency": (3, lambda: latency_forms(meter, width)),
        "cost": (2, lambda: _cost(meter, model, width)),
        "context": (8, lambda: _context(meter, model, width)),
        "cells": (4, lambda: cells_forms(meter, model, setting, width)),
        "next": (4, lambda: _next(meter, width)),
        "ending": (1, lambda: ending_forms(meter, width)),
        "stop": (5, lambda: _stop(meter, width)),
        "model": (1, lambda: _model(model, width)),
    }
    made: list[PanelText] = []
    for panel in PANELS:
        wish = choice.wish(panel.name)
        extra = panel.extra and wish is Visibility.AUTO
        if wish is Visibility.HIDDEN or (extra and not extras):
            continue
        importance, draw = drawn[panel.name]
        above = _CHOSEN if wish is Visibility.SHOWN else 0
        made.append(PanelText(panel.name, importance + above, draw(), extra))
    return tuple(made)


def finish_role(meter: RunMeter) -> str:
    """Returns the role in which the end of a reply is drawn."""
    return _FINISH_ROLES[meter.finish_reason] if meter.finish_reason else "dim"


def _row(title: str, value: str, width: int) -> Line:
    return spread(((title, "title"),), ((value, "value"),), width)


def _speed(meter: RunMeter, width: int) -> Forms:
    now, average = numbers.tps(meter.tps_now), numbers.tps(meter.tps_average)
    speed, caption = (average, f"last second {now}") if meter.phase is Phase.DONE else (now, f"average {average}")
    title = spread((("SPEED", "title"),), ((meter.phase.value, "dim"),), width)
    history: Line = ((spark(meter.history, width), "spark"),)
    top, middle, foot = big(speed) if not speed.endswith("k") else ("", speed, "")
    pad = max(len(top), len(middle), len(foot)) + 2
    large = (
        title,
        ((top, "big"),),
        ((middle.ljust(pad), "big"), ("tok/s", "text")),
        ((foot.ljust(pad), "big"), (caption, "dim")),
        history,
    )
    small = spread(((speed, "big"), (" tok/s", "text")), ((caption, "dim"),), width)
    return large, (title, small, history), (title, small)


def _prefill(meter: RunMeter, width: int) -> Forms:
    title = _row("PREFILL", numbers.ms(meter.prefill_ms or None), width)
    tokens: Line = (
        (numbers.count(meter.n_new), "value"),
        (" new + ", "text"),
        (numbers.count(meter.n_cached), "value"),
        (" cached", "text"),
    )
    line = spread(tokens, ((f"{numbers.tps(meter.prefill_tps)} tok/s", "dim"),), width)
    fraction = meter.prefill_fraction if meter.n_prompt else 0.0
    done = gauge(fraction, width - 6)
    return (title, line, (*done, (f"{numbers.percent(fraction):>6}", "dim"))), (title, line)


def _decode(meter: RunMeter, width: int) -> Forms:
    title = _row("DECODE", numbers.tokens(meter.n_generated), width)
    p50, p95 = numbers.ms(meter.p50_ms), numbers.ms(meter.p95_ms)
    line = spread((("p50 ", "dim"), (p50, "value")), (("p95 ", "dim"), (p95, "value")), width)
    return ((title, line),)


def _cost(meter: RunMeter, model: ModelReady | None, width: int) -> Forms:
    prefill, decode, ratio = meter.prefill_ms_per_token, meter.decode_ms_per_token, meter.cost_ratio
    times = "" if ratio is None else f"×{ratio:.1f}" if ratio < 9.95 else f"×{ratio:.0f}"
    if prefill is None and meter.n_prefilled:
        times = "too few new tokens"
    most = max(prefill or 0.0, decode or 0.0)
    rows = tuple(
        (
            (f"{name:<8}", "text"),
            (f"{numbers.ms(value):>8} ", "value"),
            (bar((value or 0.0) / most, width - 17) if most else "", role),
        )
        for name, value, role in (("prefill", prefill, "history"), ("decode", decode, "reply"))
    )
    title = _row("COST PER TOKEN", times, width)
    why: tuple[Line, ...] = (
        (("input: many tokens in one pass", "dim"),),
        (("output: one pass for each token", "dim"),),
    )
    if n_bytes := model.pass_bytes if model else 0:
        pass_ms = meter.latency.pass_ms
        rate = f" at {n_bytes / pass_ms / 1e6:.1f} GB/s" if pass_ms else ""
        why = (*why, ((f"a pass reads {numbers.size(n_bytes)}{rate}", "dim"),))
    return (title, *rows, *why), (title, *rows)


def _context(meter: RunMeter, model: ModelReady | None, width: int) -> Forms:
    if model is None or not meter.context_known:
        empty: Line = (("·" * width, "free"),)
        title = _row("CONTEXT", numbers.UNKNOWN, width)
        return (title, empty, (), (), ()), (title, empty), (title,)
    use = meter.context(model.n_ctx)
    title = _row(
        "CONTEXT", f"{numbers.count(use.n_used)} of {numbers.count(use.n_ctx)} · {numbers.percent(use.fraction)}", width
    )
    parts = (
        ("S", "system", use.n_system),
        ("H", "history", use.n_history),
        ("T", "turn", use.n_turn),
        ("R", "reply", use.n_reply),
        ("·", "free", use.n_free),
    )
    cells = share([n for _, _, n in parts], width)
    strip: Line = tuple(
        (letter * n, f"{role}-block" if role != "free" else role)
        for (letter, role, _), n in zip(parts, cells, strict=True)
        if n
    )
    half = width // 2
    legend = [((letter, role), (f" {role} ", "dim"), (numbers.count(n), "value")) for letter, role, n in parts]
    rows = tuple(_columns(legend[i : i + 2], half) for i in (0, 2, 4))
    return (title, strip, *rows), (title, strip), (title,)


def _columns(cells: list[tuple[tuple[str, str], ...]], width: int) -> Line:
    line: Line = ()
    for cell in cells:
        line = (*line, (" " * (-width_of(line) % width), "text"), *cell) if line else cell
    return line


def _next(meter: RunMeter, width: int) -> Forms:
    last = meter.last
    entropy = f"entropy {last.entropy:.1f} bits" if last is not None else ""
    title = spread((("NEXT TOKEN", "title"),), ((entropy, "dim"),), width)
    return tuple((title, *_candidates(meter, width, n)) for n in (N_CANDIDATES, 8, 6, 5, 4, 3, 2, 1))


def _candidates(meter: RunMeter, width: int, n: int) -> list[Line]:
    rows: list[Line] = []
    n_text = max(8, width // 3)
    for candidate in meter.candidates(n):
        token, role = candidate.token, p_role(candidate.token.p)
        in_order = candidate.rank == len(rows) + 1
        drawn = bar(token.p, width - n_text - 10) if in_order else f"rank {candidate.rank}"
        rows.append(
            (
                ("▶ " if candidate.chosen else "  ", "value"),
                (visible(token.text, n_text), "value" if candidate.chosen else "text"),
                (f"{percent(token.p):>7} ", role),
                (drawn, role),
            )
        )
    return rows + [()] * (n - len(rows))


def _stop(meter: RunMeter, width: int) -> Forms:
    title: Line = (("STOP", "title"),)
    waiting = {
        Phase.IDLE: "nothing asked yet",
        Phase.QUEUED: "waiting for a paused reply to end" if meter.held_by else "waiting for the engine",
        Phase.PREFILL: "reading the prompt",
        Phase.DECODE: "writing",
        Phase.PAUSED: "held before its next token",
    }
    words, role = (meter.finish, finish_role(meter)) if meter.finish else (waiting.get(meter.phase, ""), "dim")
    two: list[Line] = [((line, role),) for line in wrap(words, width, 2)]
    one: Line = ((wrap(words, width, 1)[0], role),)
    return (title, *two, *[()] * (2 - len(two))), (title, one), (one,)


def _model(model: ModelReady | None, width: int) -> Forms:
    title: Line = (("MODEL", "title"),)
    if model is None:
        none: Line = (("none loaded", "dim"),)
        return (title, none, (), ()), (title, none)
    layers = " + ".join(f"{one_line(place.device, 12)} {place.n_layers}" for place in model.placement)
    facts = (
        one_line(model.title if model.quant in model.title else f"{model.title} {model.quant}", 60),
        f"{layers}: {model.n_layers - 1} layers + output" if model.n_layers else layers,
        f"KV {numbers.size(model.kv_bytes)} · {model.n_threads} threads",
    )
    lines: list[Line] = [((wrap(fact, width, 1)[0], "dim"),) for fact in facts]
    return (title, *lines), (title, lines[0])
