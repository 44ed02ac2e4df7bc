"""Commands whose help lists options under headings, and groups with a default command."""

from __future__ import annotations

from typer._click import Context, HelpFormatter  # pyright: ignore[reportPrivateUsage] -- typer has no public names
from typer.core import TyperCommand, TyperGroup


def examples(*lines: str) -> str:
    """Returns the end of a command's help: one example a line, kept as it is written."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


class SectionedCommand(TyperCommand):
    """Groups options by their `rich_help_panel`; those without one come first."""

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Writes one section a heading, in the order in which they first appear."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                is_argument = parameter.param_type_name == "argument"
                usual = "Arguments" if is_argument else "Options"
                heading = getattr(parameter, "rich_help_panel", None) or usual
                sections.setdefault(heading, []).append((record[0].split()[0], record[1]) if is_argument else record)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


_HELP = frozenset({"-h", "--help"})


class DefaultGroup(TyperGroup):
    """Its command `list` takes every line that begins with no command's name."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Puts the name of the default command first where no name is."""
        if not args or (args[0] not in self.commands and args[0] not in _HELP):
            args = ["list", *args]
        return super().parse_args(ctx, args)
