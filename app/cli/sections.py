"""A command whose help lists its options under headings; typer itself does that only with rich.

An argument stands there by its name alone: typer would put the name of Python's type behind it.
"""

from __future__ import annotations

from typer._click import Context, HelpFormatter  # pyright: ignore[reportPrivateUsage] -- typer has no public names
from typer.core import TyperCommand


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
