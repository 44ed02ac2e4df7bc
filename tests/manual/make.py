"""Writes the parts of the manual that follow from declarations: `python -m tests.manual.make`."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import fill

from typer._click import Command

from app.cli.main import main
from app.cli.tree import command_line
from app.config.writer import default_config_text
from app.domain.parameters import PARAMETERS
from app.domain.sampling import SamplingParams
from app.tui.common.commands import COMMANDS
from app.tui.common.keymap import key_label
from app.tui.panels.pages import PAGES
from app.tui.panels.registry import PANELS

FOLDER = Path(__file__).parents[2] / "app" / "manual"


def command_names(command: Command | None = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yields the words behind `tok` of each command, groups included."""
    command = command or command_line()
    for name, child in getattr(command, "commands", {}).items():
        yield (*path, name)
        yield from command_names(child, (*path, name))


def help_of(words: tuple[str, ...]) -> str:
    """Returns what `tok WORDS --help` prints at 80 columns."""
    out, before = io.StringIO(), os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "80"
    try:
        with contextlib.redirect_stdout(out):
            main([*words, "--help"])
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before
    return "\n".join(line.rstrip() for line in out.getvalue().strip().splitlines())


def cli() -> str:
    """One section for each command."""
    return "\n".join(f"### tok {' '.join(words)}\n\n```\n{help_of(words)}\n```\n" for words in command_names())


def keys() -> str:
    """One row for each command of the chat."""
    rows = ["| key | letter | id | command |", "|---|---|---|---|"]
    for command in COMMANDS:
        names = ", ".join(key_label(key) for key in command.keys.split(",") if key)
        letter = f"`{command.letter}`" if command.letter else ""
        rows.append(f"| {names or '–'} | {letter} | `{command.id}` | {command.title}: {command.help} |")
    return "\n".join(rows) + "\n"


def settings() -> str:
    """The starter file of `tok config edit`, which explains each setting."""
    return f"```toml\n{default_config_text().strip()}\n```\n"


def panels() -> str:
    """What each panel shows, and which of them wait for room."""
    lines: list[str] = []
    for heading, extra in (("In the column, as far as there is room", False), ("With more room, or on request", True)):
        shown = [panel for panel in PANELS if panel.extra is extra]
        lines += [f"{heading}:", "", *(f"* {each.title}: {each.help[0].lower()}{each.help[1:]}" for each in shown), ""]
    return "\n".join(lines)


def pages() -> str:
    """What each page shows."""
    rows = [fill(f"* {panel.title}: {page.about}", 120, subsequent_indent="  ") for panel, page in PAGES.values()]
    return "\n".join(rows) + "\n"


def parameters() -> str:
    """One row for each sampling parameter."""
    rows = ["| key | default | limits | what it does |", "|---|---|---|---|"]
    default = SamplingParams()
    for row in PARAMETERS.values():
        value = getattr(default, row.name)
        shown = f"`{json.dumps(value)}`" if isinstance(value, bool | int | float) else "–"
        bounds = [
            f"≥ {row.least:g}" if row.least is not None else "",
            f"> {row.above:g}" if row.above is not None else "",
        ]
        bounds.append(f"≤ {row.most:.10g}" if row.most is not None else "")
        limits = ", ".join(filter(None, bounds))
        rows.append(f"| `{row.name}` | {shown} | {limits} | {row.help.removesuffix(' Repeatable.')} |")
    return "\n".join(rows) + "\n"


SECTIONS = {
    "cli": cli,
    "keys": keys,
    "settings": settings,
    "parameters": parameters,
    "panels": panels,
    "pages": pages,
}
TOPIC_OF = {
    "cli": "cli",
    "keys": "keys",
    "settings": "configuration",
    "parameters": "configuration",
    "panels": "panels",
    "pages": "panels",
}


def filled(name: str, text: str) -> str:
    """Returns `text` with the section called `name` made anew."""
    pattern = re.compile(rf"(<!-- {name}:[^\n]*-->\n).*?(<!-- end -->\n)", re.DOTALL)
    return pattern.sub(lambda match: f"{match[1]}\n{SECTIONS[name]()}\n{match[2]}", text)


if __name__ == "__main__":
    for section, topic in TOPIC_OF.items():
        file = FOLDER / f"{topic}.md"
        file.write_text(filled(section, file.read_text(encoding="utf-8")), encoding="utf-8")
