"""`tok batch`: a file of prompts in, a file of answers out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.common.options import DraftModel, Model, PresetName, Speculate, SystemPrompt
from app.cli.common.sampling import takes_sampling


@takes_sampling
def batch(  # noqa: PLR0913 -- one parameter an option
    context: typer.Context,
    *,
    source: Annotated[
        Path,
        typer.Argument(metavar="IN", help='Input file of JSON lines with "prompt" or "messages"; `-` is stdin.'),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="Output file; resumed if it exists. `-` is stdout.",
        ),
    ],
    parallel: Annotated[
        int, typer.Option("--parallel", min=1, max=64, metavar="N", help="Number of requests to run at once.")
    ] = 8,
    model: Model = None,
    preset: PresetName = None,
    system: SystemPrompt = None,
    speculate: Speculate = None,
    draft: DraftModel = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Start over instead of resuming OUT.")] = False,
    sampling: dict[str, Any],
) -> int:
    """Answer a file of prompts in order, several at once. An interrupted run resumes."""
    from app.cli.batch.options import BatchOptions
    from app.cli.batch.run import run_batch

    options = BatchOptions(
        source=source,
        output=output,
        parallel=parallel,
        model=model,
        preset=preset,
        system=system,
        speculate=speculate,
        draft=draft,
        overwrite=overwrite,
        sampling=sampling,
    )
    return run_batch(options, context.obj)
