"""`tok inspect`: how likely a given text is under a model, token by token, and its perplexity."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.common.options import Model


def inspect(  # noqa: PLR0913 -- one parameter an option
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
    k: Annotated[
        int | None,
        typer.Option(
            "-k",
            min=0,
            max=100,
            metavar="K",
            help="Number of candidates to show for each token.",
            show_default="5 in JSON, 1 on a terminal",
        ),
    ] = None,
    rows: Annotated[
        bool | None,
        typer.Option(
            "--tokens/--no-tokens",
            help="On a terminal, show a row for each token, not only the least likely ones.",
            show_default="for up to 40 tokens, or with -k",
        ),
    ] = None,
    n_ctx: Annotated[
        int | None,
        typer.Option(
            "--ctx",
            min=4,
            metavar="N",
            help="Context window in tokens, like llama-perplexity's -c.",
            show_default="the whole window",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Score a text, token by token. Shows probability, rank, entropy and the perplexity."""
    from app.cli.score.inspection import InspectOptions, run_inspect

    return run_inspect(InspectOptions(text, file, model, k, rows, n_ctx or 0, as_json), context.obj)
