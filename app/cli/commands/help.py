"""`tok help`: the manual in the terminal."""

from __future__ import annotations

import os
from difflib import get_close_matches
from typing import Annotated

import typer

from app.cli.common.exit_codes import ExitCode
from app.domain.errors import UsageError
from app.domain.text import one_line


def help_(
    topic: Annotated[
        str | None, typer.Argument(metavar="TOPIC", help="Topic to show. Without one, lists the topics.")
    ] = None,
) -> int:
    """Show the manual. A terminal gets it formatted and paged, a pipe as Markdown."""
    from app.cli.common.console import print_line, print_table, stdout_is_terminal, write_out
    from app.manual import TOPICS, read_topic, without_links

    if topic is None:
        print_table(("TOPIC", "ABOUT"), list(TOPICS.items()))
        print_line("\n`tok help TOPIC` shows a topic; F1 in the chat shows them too.")
        return ExitCode.OK
    name = topic.casefold()
    if name not in TOPICS:
        near = get_close_matches(name, TOPICS, 1)
        hint = f"Did you mean `tok help {near[0]}`? " if near else ""
        raise UsageError(f"there is no topic `{one_line(topic)}`", f"{hint}`tok help` lists the topics.")
    if stdout_is_terminal():
        _page(without_links(read_topic(name), "`tok help {topic}`"))
    else:
        write_out(read_topic(name))
    return ExitCode.OK


def _page(text: str) -> None:
    from rich.console import Console
    from rich.markdown import Markdown

    os.environ.setdefault("LESS", "-FRX")  # colours, and no pager where the text fits the screen
    console = Console(width=min(100, Console().width))
    with console.pager(styles=not os.environ.get("NO_COLOR")):
        console.print(Markdown(text, hyperlinks=False))
