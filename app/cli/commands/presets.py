"""`tok presets`: the named sampling parameters and system prompts."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.common.completion import complete_preset
from app.cli.common.exit_codes import ExitCode
from app.cli.common.groups import SectionedCommand

commands = typer.Typer(name="presets", help="List presets, or show one.", rich_markup_mode=None)


@commands.callback(invoke_without_command=True)
def _presets(context: typer.Context) -> int:
    return list_() if context.invoked_subcommand is None else ExitCode.OK


@commands.command("list")
def list_() -> int:
    """List presets. `*` marks the default."""
    from app.cli.common.configuration import warn_of
    from app.cli.common.console import print_table
    from app.config.settings import load_presets, load_settings

    loaded = load_settings()
    warn_of(loaded.problems)
    settings = loaded.settings
    print_table(
        ("", "NAME", "TEMPERATURE", "DESCRIPTION"),
        [
            ("*" if name == settings.preset else "", name, f"{preset.sampling.temperature:g}", preset.description)
            for name, preset in load_presets(settings).items()
        ],
    )
    return ExitCode.OK


@commands.command(cls=SectionedCommand)
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a preset.", autocompletion=complete_preset)],
) -> int:
    """Show every value of a preset, as TOML for `config.toml`."""
    from app.cli.common.configuration import spelt_out, toml_lines, warn_of
    from app.cli.common.console import print_line
    from app.config.presets import find_preset
    from app.config.settings import load_presets, load_settings

    loaded = load_settings()
    warn_of(loaded.problems)
    preset = find_preset(name, load_presets(loaded.settings))
    about = {
        "description": preset.description,
        "system": preset.system,
        "model": preset.model,
        "context": preset.context,
    }
    print_line(f"[presets.{preset.name}]")
    for line in toml_lines(about | spelt_out(preset.sampling)):
        print_line(line)
    return ExitCode.OK
