"""The tree of commands. Registers functions; what they do is imported when one of them runs."""

from __future__ import annotations

from collections.abc import Callable
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
from app.cli.common.groups import SectionedCommand, examples
from app.cli.common.options import ContinueLast, DraftModel, Model, PresetName, SystemPrompt, ThemeName
from app.cli.history import commands as history
from app.domain.errors import UsageError

_COMMANDS: tuple[tuple[Callable[..., int], tuple[str, ...]], ...] = (
    (chat.chat, ("tok chat -m ~/models/qwen3-4b.gguf", "tok chat --continue")),
    (ask.ask, ('tok ask "Write a haiku about rain"', 'git diff | tok ask "Write a commit message" -p precise')),
    (batch.batch, ("tok batch prompts.jsonl -o answers.jsonl --parallel 8",)),
    (trace.trace, ('tok trace "Rain" -o run.jsonl --seed 7 --exact --stages',)),
    (replay.replay, ("tok replay run.jsonl --speed 2", "tok replay run.jsonl --verify")),
    (explain.explain, ("tok explain", 'tok explain "Why is the sky blue?"')),
    (next.next_, ('tok next "The capital of France is" --raw -k 5',)),
    (inspect.inspect, ('tok inspect "The sky is blue." -k 3', "tok inspect -f essay.txt --json")),
    (tokenize.tokenize, ('tok tokenize "autoregressive"',)),
    (bench.bench, ("tok bench", "tok bench -m ~/models/qwen3-4b.gguf --suite speculation --json > run.json")),
    (help.help_, ("tok help", "tok help loop")),
)
"""The commands that stand alone, each with examples."""

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
        raise UsageError(f"put command options after the command name: tok {context.invoked_subcommand} …")
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
    for command, shown in _COMMANDS:
        name = command.__name__.rstrip("_")
        root.command(name, cls=SectionedCommand, epilog=examples(*shown))(command)
    for group in (history, export, models, presets, config):
        root.add_typer(group.commands)
    use_plain_coercion()
    return get_command(root)
