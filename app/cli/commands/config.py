"""`tok config`: prints, shows, checks and edits the configuration."""

from __future__ import annotations

import typer

from app.cli.common import console
from app.cli.common.exit_codes import ExitCode

commands = typer.Typer(
    name="config", help="Show, check or edit the configuration.", rich_markup_mode=None, no_args_is_help=False
)


@commands.callback(invoke_without_command=True)
def _config(context: typer.Context) -> int:
    return show() if context.invoked_subcommand is None else ExitCode.OK


@commands.command()
def path() -> int:
    """Print the path of `config.toml`."""
    from app.config.paths import config_file

    console.print_line(str(config_file()))
    return ExitCode.OK


@commands.command()
def show() -> int:
    """Print the settings in effect, as TOML."""
    import msgspec

    from app.cli.common.configuration import toml_lines, warn_of
    from app.config.settings import load_settings

    loaded = load_settings()
    warn_of(loaded.problems)
    values = msgspec.structs.asdict(loaded.settings)
    presets = values.pop("presets")
    tables = {"trace": msgspec.structs.asdict(values.pop("trace")), "keys": values.pop("keys")}
    for line in toml_lines(values):
        console.print_line(line)
    for name, table in tables.items():
        if table:
            console.print_line(f"\n[{name}]")
            for line in toml_lines(table):
                console.print_line(line)
    for name in presets:
        console.print_line(f"\n# [presets.{name}] is your own preset: `tok presets show {name}`")
    return ExitCode.OK


@commands.command()
def check() -> int:
    """Check settings, models, keys and themes. Exits with code 3 on errors."""
    from app.cli.common.configuration import judge_keys, judge_models
    from app.config.check import check_config
    from app.config.problems import render

    problems = check_config(judge_models, judge_keys)
    if not problems:
        console.print_line("configuration OK")
        return ExitCode.OK
    console.print_stderr(render(problems))
    return ExitCode.CONFIG


@commands.command()
def edit() -> int:
    """Edit `config.toml` in $VISUAL or $EDITOR, then check it. Creates it if needed."""
    from app.cli.common.editor import open_editor
    from app.config.paths import config_file, ensure_dir
    from app.config.writer import default_config_text

    file = config_file()
    if not file.exists():
        ensure_dir(file.parent)
        file.write_text(default_config_text(), encoding="utf-8")
    open_editor(file)
    return check()
