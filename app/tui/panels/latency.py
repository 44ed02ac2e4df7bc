"""The time between tokens, small and large: the engine's clock beside the screen's, and its curve in braille."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import zip_longest
from math import ceil

from app.analysis.latency import Latency
from app.analysis.meter import RunMeter
from app.analysis.token_rate import N_RECENT
from app.domain import units
from app.tui.panels.panel import Panel, PanelPage
from app.tui.widgets.line import Forms, Line, bar, spread, width_of, wrap

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_EMPTY = 0x2800
_CUT = "▲"


def plot(
    ranges: Sequence[tuple[float, float]], levels: Sequence[float], top: float, width: int, height: int
) -> list[Line]:
    """Returns `height` lines of `width` cells: each of `ranges` a stroke from low to high, 0 at the foot.

    They fill the columns from the left; more of them than columns share one. What is above `top` ends in ▲ at the edge.
    """
    if not top or width < 1:
        return [((" " * width, "text"),)] * height
    n_columns, n_rows = width * 2, height * 4
    data = [[0] * width for _ in range(height)]
    lines = [[0] * width for _ in range(height)]
    for level in levels:
        row = row_of(level, top, n_rows)
        for column in range(0, n_columns, 4):
            lines[row // 4][column // 2] |= _DOTS[row % 4][column % 2]
    cut: set[int] = set()
    step = min(1.0, (n_columns - 1) / max(1, len(ranges) - 1)) if len(ranges) > n_columns else 1.0
    for index, (low, high) in enumerate(ranges):
        column = min(n_columns - 1, int(index * step))
        if high > top:
            cut.add(column // 2)
        for row in range(row_of(high, top, n_rows), row_of(low, top, n_rows) + 1):
            data[row // 4][column // 2] |= _DOTS[row % 4][column % 2]
    first, *rest = [_line(dots, under) for dots, under in zip(data, lines, strict=True)]
    return [_marked(first, cut), *rest]


def _marked(line: Line, cells: Collection[int]) -> Line:
    chars = [(char, role) for text, role in line for char in text]
    return tuple((_CUT, "warn") if at in cells else span for at, span in enumerate(chars)) if cells else line


def row_of(value: float, top: float, n_rows: int) -> int:
    """Returns the row of dots, from above, that `value` lies in."""
    return n_rows - 1 - min(n_rows - 1, max(0, round(value / top * (n_rows - 1))))


def _line(dots: Sequence[int], under: Sequence[int]) -> Line:
    spans: list[tuple[str, str]] = []
    for dot, line in zip(dots, under, strict=True):
        role = "spark" if dot else "dim"
        char = chr(_EMPTY | dot | line) if dot | line else " "
        if spans and spans[-1][1] == role:
            spans[-1] = (spans[-1][0] + char, role)
        else:
            spans.append((char, role))
    return tuple(spans)


_HEADROOM = 1.6
_TYPICAL = 0.9
"""The scale ends at this share of the curve with some headroom: single stalls, cut off there, must not flatten it."""
_NO_TREND = "depth: too few tokens"
_NO_PARTS = "its parts are not reported"
_N_LABEL = 9
_N_TABLE = 7
_TWO_COLUMNS = 72


def latency_forms(meter: RunMeter, width: int) -> Forms:
    """Returns the panel of the column in its forms, the fullest first."""
    p50, p95 = units.ms(meter.p50_ms), units.ms(meter.p95_ms)
    title = spread((("LATENCY", "title"),), (("p50 ", "dim"), (p50, "value"), (" p95 ", "dim"), (p95, "value")), width)
    recent = _recent(meter)
    shares = meter.latency.shares[: 1 if recent else 3]
    spent = " ".join(f"{share.name} {units.percent(share.fraction)}" for share in shares)
    spent = " · ".join(filter(None, (recent, spent)))
    parts: Line = ((wrap(spent, width, 1)[0] or _NO_PARTS, "dim"),)
    lag, cpu = units.ms(meter.screen.mean_lag_ms), _cpu(meter)
    screen: Line = (("screen: lag ", "dim"), (lag, "value"), ("  CPU ", "dim"), (cpu, "value"))
    return (
        (title, *_curve(meter, width, 3), parts, screen),
        (title, *_curve(meter, width, 1), parts),
        (title,),
    )


def latency_page(meter: RunMeter, width: int, height: int) -> list[Line]:
    """Returns the whole story in `height` lines."""
    latency = meter.latency
    recent = _recent(meter)
    name: Line = (("LATENCY", "title"), (f"  {recent}" if recent else "", "dim"))
    title = spread(name, ((f"time between tokens, by {_clock(meter)}", "dim"),), width)
    n_rows = max(2, height - _N_TABLE - 3)
    top = _top(meter)
    labels = {0: units.ms(top) if top else "", n_rows - 1: "0 ms"}
    rows = [(row_of(value, top, n_rows * 4) // 4, name) for name, value in _levels(meter) if top]
    for row, _ in rows:
        labels[row] = " ".join(other for at, other in rows if at == row)
    curve = [
        ((f"{labels.get(row, ''):>{_N_LABEL - 1}} ", "dim"), *line)
        for row, line in enumerate(_curve(meter, width - _N_LABEL, n_rows))
    ]
    clipped = latency.longest_ms > top > 0
    stall = f"longest {units.ms(latency.longest_ms)}, cut off" if clipped else ""
    foot = spread(((" " * _N_LABEL + _depths(meter, width - _N_LABEL), "dim"),), ((stall, "warn"),), width)
    return [title, *curve, foot, _trend(latency), (), *_table(meter, width)][:height]


def _depths(meter: RunMeter, width: int) -> str:
    """Returns the first and the last depth, each under its end of the curve where there is room."""
    latency = meter.latency
    if latency.last_depth < latency.deepest:  # a shift has forgotten tokens on the way
        return f"{latency.first_depth} to {latency.deepest} tokens deep, then {latency.last_depth} after a shift"
    first, last = f"{latency.first_depth} tokens deep", f"{latency.last_depth} deep"
    end = min(width, (len(latency.envelope.buckets) + 1) // 2)
    if end < len(first) + len(last) + 2:
        return f"{latency.first_depth} to {latency.last_depth} tokens deep"
    return first + last.rjust(end - len(first))


def _recent(meter: RunMeter) -> str:
    """Returns what p50 and p95 are of, where that is not the whole curve."""
    recent = f"p50, p95: last {N_RECENT}" if meter.percentiles_are_recent else ""
    return " · ".join(filter(None, (recent, units.APP_CLOCK if meter.by_app("p50_ms") else "")))


def _clock(meter: RunMeter) -> str:
    return f"the {units.APP_CLOCK}" if meter.by_app("p50_ms") else "the engine's clock"


def _levels(meter: RunMeter) -> list[tuple[str, float]]:
    pairs, top = (("p95", meter.p95_ms), ("p50", meter.p50_ms)), _top(meter)
    return [(name, value) for name, value in pairs if value is not None and value <= top]


def _top(meter: RunMeter) -> float:
    highs = sorted(bucket.high for bucket in meter.latency.envelope.buckets)
    if len(highs) < 3:
        return meter.latency.longest_ms
    typical = highs[min(ceil(_TYPICAL * len(highs)) - 1, len(highs) - 2)]
    return min(meter.latency.longest_ms, typical * _HEADROOM) if typical else meter.latency.longest_ms


def _curve(meter: RunMeter, width: int, height: int) -> list[Line]:
    ranges = [(bucket.low, bucket.high) for bucket in meter.latency.envelope.buckets]
    return plot(ranges, [value for _, value in _levels(meter)], _top(meter), width, height)


def _trend(latency: Latency) -> Line:
    trend = latency.trend
    if trend is None:
        return ((_NO_TREND, "dim"),)
    sign = "+" if trend.ms_per_1000 >= 0 else "-"
    figure = f"{sign}{units.ms(abs(trend.ms_per_1000))} ± {units.ms(trend.error)}"
    words = " per 1,000 tokens: not significant"
    if trend.seen:
        slower = trend.ms_per_1000 > 0
        words = " per 1,000 tokens of context" if slower else " per 1,000 tokens: the first tokens were slow"
    return (("depth ", "dim"), (figure, "value"), (words, "dim"))


def _table(meter: RunMeter, width: int) -> list[Line]:
    half = width // 2
    screen = meter.screen
    wall = screen.wall_ms
    engine: list[Line] = [((_clock(meter).removeprefix("the ").upper(), "title"), (" · per token", "dim"))]
    for share in meter.latency.shares:
        engine.append(
            (
                (f"{share.name:<17}", "text"),
                (f"{units.ms(share.ms):>8}", "value"),
                (f"{units.percent(share.fraction):>7} ", "dim"),
                (bar(share.fraction, max(0, half - 35)), "bar"),
            )
        )
    if len(engine) == 1:
        engine.append(((_NO_PARTS, "dim"),))
    engine.append((("together         ", "text"), (f"{units.ms(_mean(meter.latency)):>8}", "value")))
    composing = screen.panels_ms / screen.n_ticks if screen.n_ticks else None
    share = f" · {units.percent(screen.panels_ms / wall)}" if wall else ""
    rows = (
        ("arrival to screen", units.ms(screen.mean_lag_ms), ""),
        ("the longest", units.ms(screen.worst_lag_ms or None), ""),
        ("flushes", units.count(screen.n_flushes) if wall else units.UNKNOWN, ""),
        ("CPU of the app", _cpu(meter), " of a core" if wall else ""),
        ("composing panels", units.ms(composing), share),
    )
    shown: list[Line] = [(("SCREEN'S CLOCK", "title"), (" · per turn", "dim"))]
    shown += [((f"{name:<17}", "text"), (f"{value:>8}", "value"), (rest, "dim")) for name, value, rest in rows]
    if width < _TWO_COLUMNS:
        return [*engine, *shown]
    return [
        (*left, (" " * (half - width_of(left)), "text"), *right)
        for left, right in zip_longest(engine, shown, fillvalue=())
    ]


def _mean(latency: Latency) -> float | None:
    return latency.total_ms / latency.n if latency.n else None


def _cpu(meter: RunMeter) -> str:
    screen = meter.screen
    return units.percent(screen.cpu_ms / screen.wall_ms) if screen.wall_ms else units.UNKNOWN


LATENCY = Panel(
    "latency",
    "Latency",
    "The time from token to token, and what it is spent on",
    3,
    lambda figures, width: latency_forms(figures.meter, width),
    PanelPage(
        lambda figures, width, height: latency_page(figures.meter, width, height),
        "latency",
        "Draws the time from each token to the next, with the median and the slowest twentieth as lines. Below, the "
        "engine's own clock is beside the screen's, which shows what drawing costs.",
    ),
    extra=True,
)
