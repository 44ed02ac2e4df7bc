"""The tree of commands. Registers functions; what they do is imported when one of them runs."""

from __future__ import annotations

from functools import cache
from typing import Annotated

import typer
from typer._click import Command  # pyright: ignore[reportPrivateUsage] -- typer gives its base class no public name
from typer.main import get_command

from app.cli.commands import (
    ask,
    batch,
    bench,
    chat,
    config,
    explain,
    export,
    help,
    history,
    inspect,
    models,
    next,
    presets,
    replay,
    tokenize,
    trace,
    version,
)
from app.cli.common.coercion import use_plain_coercion
from app.cli.common.exit_codes import EPILOG
from app.cli.common.groups import SectionedCommand
from app.cli.common.options import ContinueLast, DraftModel, Model, PresetName, SystemPrompt, ThemeName
from app.domain.errors import UsageError

_HELP = "Chat with a local language model and see the autoregressive loop, token by token. Alone, `tok` opens the chat."


def _root(  # noqa: PLR0913, PLR0917 -- one parameter an option
    context: typer.Context,
    model: Model = None,
    preset: PresetName = None,
    system: SystemPrompt = None,
    continue_last: ContinueLast = False,
    theme: ThemeName = None,
    draft: DraftModel = None,
    version_wanted: Annotated[
        bool, typer.Option("--version", help="Show the version, the llama.cpp build and its devices.")
    ] = False,
) -> int | None:
    if version_wanted:
        raise typer.Exit(version.version(context.obj))
    if context.invoked_subcommand is None:
        return chat.chat(model, preset, system, continue_last, theme, draft)
    if model or preset or system is not None or continue_last or theme or draft:
        raise UsageError(f"options of a command go behind its name: tok {context.invoked_subcommand} …")
    return None


@cache
def command_line() -> Command:
    """Returns the whole command line, ready to be called with arguments; it is built once."""
    root = typer.Typer(
        rich_markup_mode=None,
        help=_HELP,
        epilog=EPILOG,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},  # of every command below, too
    )
    root.callback(invoke_without_command=True)(_root)
    root.command()(chat.chat)
    root.command(cls=SectionedCommand)(ask.ask)
    root.command(cls=SectionedCommand)(batch.batch)
    root.command(cls=SectionedCommand)(trace.trace)
    root.command(cls=SectionedCommand)(replay.replay)
    root.command(cls=SectionedCommand)(explain.explain)
    root.command("next", cls=SectionedCommand)(next.next_)
    root.command(cls=SectionedCommand)(inspect.inspect)
    root.command(cls=SectionedCommand)(tokenize.tokenize)
    root.command()(bench.bench)
    root.add_typer(history.commands)
    root.add_typer(export.commands)
    root.add_typer(models.commands)
    root.add_typer(presets.commands)
    root.add_typer(config.commands)
    root.command("help")(help.help_)
    use_plain_coercion()
    return get_command(root)
