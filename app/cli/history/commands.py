"""The commands of `tok history`, each with examples."""

from __future__ import annotations

from collections.abc import Callable

import typer

from app.cli.common.groups import DefaultGroup, SectionedCommand, examples
from app.cli.history import deletion, figures, listing, show, transfer

commands = typer.Typer(
    name="history",
    help="Read, search, export, import and erase conversations.",
    cls=DefaultGroup,
    rich_markup_mode=None,
)

_COMMANDS: tuple[tuple[Callable[..., int], tuple[str, ...]], ...] = (
    (listing.list_, ("tok history", "tok history rain --kind chat")),
    (show.search, ("tok history search rain wind", "tok history search --json rain")),
    (show.show, ("tok history show 12", "tok history show 12 --code 2 > rain.py")),
    (transfer.export, ("tok history export 12 13 -o talk.html", "tok history export --all -o history.json")),
    (
        transfer.import_,
        (
            "tok history import history.json",
            "tok history import conversations.json",
        ),
    ),
    (deletion.rm, ("tok history rm 12",)),
    (deletion.restore, ("tok history restore 12",)),
    (deletion.purge, ("tok history purge",)),
    (figures.stats, ("tok history stats",)),
    (figures.check, ("tok history check",)),
)
for _command, _shown in _COMMANDS:
    commands.command(_command.__name__.rstrip("_"), cls=SectionedCommand, epilog=examples(*_shown))(_command)
