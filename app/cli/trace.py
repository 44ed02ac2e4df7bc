"""`tok trace`: one answer with the trace of each of its tokens, in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.asking.options import TRACE_TOP_K, AskOptions, Format
from app.cli.options import DraftModel, Model, Overwrite, PresetName, Speculate, SystemPrompt
from app.cli.sampling_options import takes_sampling


@takes_sampling
def trace(  # noqa: PLR0913 -- one parameter an option
    context: typer.Context,
    *,
    prompt: Annotated[
        str | None, typer.Argument(metavar="PROMPT", help="The question. Standard input is added to it.")
    ] = None,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="OUT", help="Where the trace goes; - is stdout, without the answer."),
    ],
    model: Model = None,
    preset: PresetName = None,
    system: SystemPrompt = None,
    file: Annotated[
        list[Path] | None,
        typer.Option("--file", "-f", metavar="FILE", help="Add a text file to the prompt; may be repeated."),
    ] = None,
    stages: Annotated[bool, typer.Option("--stages", help="With what each stage of the sampler did.")] = False,
    top: Annotated[
        int, typer.Option("--top", min=0, max=100, metavar="K", help="How many alternatives each token carries.")
    ] = TRACE_TOP_K,
    overwrite: Overwrite = False,
    speculate: Speculate = None,
    draft: DraftModel = None,
    stats: Annotated[bool, typer.Option("--stats", help="Tell counts and speed on standard error.")] = False,
    sampling: dict[str, Any],
) -> int:
    """Answer once and write a line a token. Nothing is kept in the history; `tok replay OUT` plays it."""
    options = AskOptions(
        prompt=prompt,
        model=model,
        preset=preset,
        system=system,
        files=tuple(file or ()),
        sampling=sampling,
        format=Format.NOTHING if str(output) == "-" else Format.TEXT,
        stats=stats,
        logprobs=top,
        trace_stages=stages,
        trace=output,
        overwrite=overwrite,
        speculate=speculate,
        draft=draft,
        save=False,
    )
    from app.cli.asking.run import run_ask

    return run_ask(options, context.obj)
