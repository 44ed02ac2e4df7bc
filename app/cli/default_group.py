"""A group of commands one of which is meant where none is named: `tok history WORDS` is `tok history list WORDS`."""

from __future__ import annotations

from typer._click import Context  # pyright: ignore[reportPrivateUsage] -- typer has no public names
from typer.core import TyperGroup

_HELP = frozenset({"-h", "--help"})


class DefaultGroup(TyperGroup):
    """Its command `list` takes every line that begins with no command's name."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Puts the name of the default command first where no name is."""
        if not args or (args[0] not in self.commands and args[0] not in _HELP):
            args = ["list", *args]
        return super().parse_args(ctx, args)
