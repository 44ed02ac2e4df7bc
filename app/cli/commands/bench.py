"""`tok bench`: how fast a model runs here, alone and in the whole loop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.common.exit_codes import ExitCode
from app.cli.common.options import Model
from app.domain.errors import UsageError


def bench(
    context: typer.Context,
    model: Model = None,
    suite: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SUITE",
            help="Suite: basic, depth, speculation, reuse, batch, server or all. Repeatable.",
            show_default="basic; server for a model on a server",
        ),
    ] = None,
    draft: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Draft model for the suite `speculation`.", show_default=False),
    ] = None,
    reps: Annotated[
        int, typer.Option("--reps", "-r", min=1, max=100, metavar="N", help="Number of repetitions of each row.")
    ] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for a later --compare.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table only.")] = False,
    compare: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Compare with the --json output of an earlier run.", show_default=False),
    ] = None,
) -> int:
    """Measure the speed of a model and of the loop around it."""
    if as_json and markdown:
        raise UsageError("--json and --markdown exclude each other")
    import shutil

    from app.cli.bench.report import print_markdown, print_report
    from app.cli.bench.rows import read_report
    from app.cli.bench.run import BenchOptions, chosen, run_bench
    from app.cli.common import console

    suites = chosen(suite or [])
    before = read_report(compare) if compare else None
    report = run_bench(BenchOptions(model=model, draft=draft, suites=suites, n_reps=reps), context.obj)
    if as_json:
        console.print_json(report.as_object(before), indent=2)
    elif markdown:
        print_markdown(report, before)
    else:
        print_report(report, before, shutil.get_terminal_size().columns)
    return ExitCode.OK
