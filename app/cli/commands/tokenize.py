"""`tok tokenize`: the tokens of a text, with their places in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.common.options import Model


def tokenize(
    context: typer.Context,
    *,
    text: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="Text, used as it is. Without it, standard input is read.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            "-f",
            metavar="FILE",
            help="Read the text from a file; `-` is standard input.",
        ),
    ] = None,
    model: Model = None,
    special: Annotated[
        bool, typer.Option("--special", help="Read names of control tokens as these tokens, not as text.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
) -> int:
    """Show the tokens of a text. In a pipe: one per line, with byte offsets."""
    from app.cli.score.tokens import run_tokenize

    return run_tokenize(text, file, model, context.obj, special=special, as_json=as_json)
