"""A report for people: a table in the terminal or in Markdown, with bars, each row beside an earlier run's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from app.cli.bench.rows import RATE, RATIO, BenchRow, Report, ratio
from app.cli.common import console
from app.cli.common.console import print_table
from app.tui.widgets.line import bar

_SMALLEST_BAR = 8
_GAP = 2


def bars(rows: Sequence[BenchRow], n_columns: int) -> Iterator[str]:
    """Yields lines of at most `n_columns` columns: a blank one, a title, then one bar a row; rates alone have bars.

    A suite with a single rate has nothing to be compared with and is left out, and so are all where it is too narrow.
    """
    shown = [row for row in rows if row.values and row.unit == RATE]
    for suite, group in groupby(shown, key=lambda row: row.suite):
        members = list(group)
        width = max(len(row.name) for row in members)
        room = n_columns - width - 2 * _GAP - len("12345.6")
        most = max(row.mean for row in members)
        if len(members) < 2 or room < _SMALLEST_BAR or most <= 0:
            continue
        yield ""
        yield f"{suite}, {RATE}"
        for row in members:
            yield f"{row.name:<{width}}  {bar(row.mean / most, room):<{room}}  {row.mean:.1f}"


_COMPARABLE = ("file", "quant", "n_params", "build", "n_ctx", "n_threads", "placement", "flash_attn")
"""What of the environment two runs should have in common."""
_HEADER = ("SUITE", "TEST", "MEAN", "± SD", "UNIT", "N")


def print_report(report: Report, before: Report | None, n_columns: int) -> None:
    """Prints the environment, the table and a plot of at most `n_columns` columns."""
    for line in _environment(report, before):
        console.print_line(line)
    console.print_line()
    header, cells = _table(report.rows, before)
    print_table(header, cells)
    for line in bars(report.rows, n_columns):
        console.print_line(line)


def print_markdown(report: Report, before: Report | None) -> None:
    """Prints the environment as a list and the rows as one table."""
    for line in _environment(report, before):
        console.print_line(f"* {_escaped(line)}")
    console.print_line()
    header, cells = _table(report.rows, before)
    for row in (header, ["---"] * len(header), *cells):
        console.print_line(f"| {' | '.join(map(_escaped, row))} |")


def _environment(report: Report, before: Report | None) -> Iterator[str]:
    said = report.environment
    if "server" in said:
        yield f"{said['model']} ({said['server']}), {said['date']}"
        yield f"tokscope {said['tokscope']}"
    else:
        yield f"{said['model']} ({said['quant']}, window {said['n_ctx']}), {said['n_threads']} threads, {said['date']}"
        yield f"tokscope {said['tokscope']}, {said['build']}"
    yield from (f"{device['kind']}: {device['description'] or device['name']}" for device in said.get("devices", ()))
    for name in _COMPARABLE if before else ():
        if before and (earlier := before.environment.get(name)) != said.get(name):
            yield f"before: another {name}, {earlier}"


def _table(rows: Sequence[BenchRow], before: Report | None) -> tuple[list[str], list[list[str]]]:
    known = before.by_name() if before else {}
    header = [*_HEADER, *(["VS BEFORE"] if before else []), "NOTE"]
    cells: list[list[str]] = []
    for row in rows:
        sd = figure(row.sd) if len(row.values) > 1 else "–"
        figures = [figure(row.mean), sd, row.unit, f"{len(row.values)}"] if row.values else ["–", "", "", ""]
        against = [_against(row, known.get((row.suite, row.name)))] if before else []
        cells.append([row.suite, row.name, *figures, *against, row.note or row.missing])
    return header, cells


def _against(row: BenchRow, before: BenchRow | None) -> str:
    found = ratio(row, before)
    return f"{found:.2f}× {'better' if found > 1 else 'worse' if found < 1 else 'the same'}" if found else "–"


def figure(value: float) -> str:
    """Returns a value with three significant figures and more where they are whole."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def progress(row: BenchRow) -> str:
    """Returns the progress line of a measured row."""
    if not row.values:
        return f"{row.suite}: {row.name}: not available: {row.missing}"
    unit = row.unit if row.unit == RATIO else f" {row.unit}"
    return f"{row.suite}: {row.name}: {figure(row.mean)}{unit}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
