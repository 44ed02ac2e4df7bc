"""`tok models`: what can be chosen with `-m`, and whether it is there."""

from __future__ import annotations

import typer

from app.cli.commands import models_plan
from app.cli.common import console
from app.cli.common.exit_codes import ExitCode
from app.cli.common.groups import SectionedCommand
from app.domain import units

commands = typer.Typer(name="models", help="List models, or plan how one would be loaded.", rich_markup_mode=None)
commands.command(cls=SectionedCommand)(models_plan.plan)


@commands.callback(invoke_without_command=True)
def _models(context: typer.Context) -> int:
    return list_() if context.invoked_subcommand is None else ExitCode.OK


@commands.command("list")
def list_() -> int:
    """List the catalogue and the files in `models_dir`. `*` marks the default."""
    from app.cli.common.configuration import warn_of
    from app.cli.common.console import print_table
    from app.config.catalogue import load_catalogue
    from app.config.settings import load_settings
    from app.domain.text import one_line
    from app.models.listing import list_models

    loaded, catalogue = load_settings(), load_catalogue()
    warn_of([*loaded.problems, *catalogue.problems])
    default = loaded.settings.model or catalogue.default
    rows = list_models(catalogue, loaded.settings.models_dir)
    print_table(
        ("", "NAME", "INSTALLED", "SIZE", "QUANT", "CONTEXT", "WHERE"),
        [
            (
                "*" if row.name == default else "",
                row.name,
                "broken" if row.problem else "yes" if row.installed else "no",
                units.size(row.size_bytes) if row.size_bytes else "",
                row.quant or "",
                str(row.n_ctx_train or ""),
                row.where,
            )
            for row in rows
        ],
    )
    adapters = [(row.name, adapter) for row in rows for adapter in row.adapters]
    if adapters:
        console.print_line("")
        print_table(
            ("ADAPTER", "OF MODEL", "SCALE", "SIZE", "WHERE"),
            [
                (
                    each.name,
                    model,
                    f"{each.scale:g}",
                    "broken" if each.problem else units.size(each.size_bytes),
                    each.path,
                )
                for model, each in adapters
            ],
        )
    for name, adapter in adapters:
        if adapter.problem:
            console.print_stderr(f"tok: {one_line(name)}: {one_line(adapter.problem, 400)}")
    for row in rows:
        if row.problem:
            console.print_stderr(f"tok: {one_line(row.name)}: {one_line(row.problem, 400)}")
        if not row.installed and row.install:
            console.print_stderr(f"hint: to get {row.name}: {row.install}")
    return ExitCode.OK
