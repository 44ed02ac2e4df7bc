"""How the figures of drafting are written, small and large. Pure."""

from __future__ import annotations

from app.analysis.drafting import Drafting
from app.analysis.ending import ReplyContext
from app.analysis.meter import RunMeter
from app.domain import units
from app.tui.panels.panel import Panel, PanelPage
from app.tui.widgets.line import Forms, Line, bar, levels, spread


def drafting_forms(meter: RunMeter, setting: ReplyContext, width: int) -> Forms:
    """Returns the panel of the column in its forms, the fullest first."""
    drafting = meter.drafting
    counts = drafting.counts
    state = f"{counts.n_accepted} of {counts.n_drafted} accepted" if counts.n_steps else _state(drafting, setting)
    title = spread((("SPECULATION", "title"),), ((state, "value" if counts.n_steps else "dim"),), width)
    kinds: Line = (
        ("bonus ", "dim"),
        (units.count(drafting.n_bonus), "value"),
        ("  rejected ", "dim"),
        (units.count(drafting.n_rejected), "value"),
        ("  mean ", "dim"),
        (_mean(drafting), "value"),
    )
    places: Line = (("by place ", "dim"), (levels(drafting.acceptance, width - 9), "high"))
    gain: Line = (_gain_in_short(drafting),)
    return (title, kinds, places, gain), (title, gain), (title,)


def drafting_page(meter: RunMeter, setting: ReplyContext, width: int, height: int) -> list[Line]:
    """Returns the whole story in at most `height` lines."""
    drafting, counts = meter.drafting, meter.drafting.counts
    figures = (
        ("drafted", counts.n_drafted, "value"),
        ("accepted", counts.n_accepted, "high"),
        ("bonus", drafting.n_bonus, "spark"),
        ("rejected", drafting.n_rejected, "low"),
        ("drafts", counts.n_steps, "value"),
    )
    row: list[tuple[str, str]] = []
    for name, n, role in figures:
        row += [(f"{name} ", "dim"), (f"{n:<6}", role)]
    lines: list[Line] = [
        spread((("SPECULATION", "title"),), ((_state(drafting, setting), "dim"),), width),
        tuple(row),
        (("accepted per draft, on average ", "dim"), (_mean(drafting), "value")),
        *_gain(drafting),
        (("acceptance by position in the draft, given that all before it were accepted", "dim"),),
    ]
    n_rows = max(0, height - len(lines))
    pairs = [pair for pair in zip(counts.drafted_at, counts.accepted_at, strict=True) if pair[0]][:n_rows]
    for place, (n_drafted, n_accepted) in enumerate(pairs, 1):
        share = n_accepted / n_drafted
        track = max(4, min(40, width - 30))
        lines.append(
            (
                (f"{place:>3} ", "value"),
                (f"{bar(share, track):<{track}} ", "high"),
                (f"{units.percent(share):>7}", "value"),
                (f"  {n_accepted} of {n_drafted}", "dim"),
            )
        )
    return lines[:height]


def _state(drafting: Drafting, setting: ReplyContext) -> str:
    if drafting.counts.n_steps:
        return "in this reply: on"
    if drafting.asked is None:
        return "on, no draft yet" if setting.speculate else "off"
    return "on, no draft worth its time" if drafting.asked else "off in this reply"


def _mean(drafting: Drafting) -> str:
    mean = drafting.mean_accepted
    return units.UNKNOWN if mean is None else f"{mean:.1f}"


def _gain_in_short(drafting: Drafting) -> tuple[str, str]:
    gain = drafting.gain
    return drafting.gain_words, "dim" if gain is None else "ok" if gain.saved_ms >= 0 else "bad"


def _gain(drafting: Drafting) -> list[Line]:
    gain = drafting.gain
    first: Line = (("compared with plain decoding: ", "dim"), _gain_in_short(drafting))
    if gain is None:
        return [first, ()]
    return [
        first,
        (
            ("time per token: ", "dim"),
            (units.ms(gain.drafted_ms), "value"),
            (f" in {drafting.n_timed_steps} steps with drafts, ", "dim"),
            (units.ms(gain.plain_ms), "value"),
            (f" in {drafting.n_plain} plain ones", "dim"),
        ),
    ]


SPECULATION = Panel(
    "speculation",
    "Speculation",
    "Drafts accepted and rejected, and whether they saved time",
    2,
    lambda figures, width: drafting_forms(figures.meter, figures.context, width),
    PanelPage(
        lambda figures, width, height: drafting_page(figures.meter, figures.context, width, height),
        "speculation",
        "Shows drafted tokens that were checked in one pass: which were accepted, which were rejected, by position in "
        "the draft. The gain is measured against the plain steps of the same reply; a loss is shown as a loss.",
        shows_tokens=True,
        internal=True,
    ),
    extra=True,
)
