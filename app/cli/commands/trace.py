"""`tok trace`: one answer with the trace of each of its tokens, in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.common.options import (
    TRACE_TOP_K,
    AskOptions,
    DraftModel,
    Format,
    Model,
    Overwrite,
    PresetName,
    PromptFiles,
    Question,
    Speculate,
    Stats,
    SystemPrompt,
)
from app.cli.common.sampling import takes_sampling


@takes_sampling
def trace(  # noqa: PLR0913 -- one parameter an option
    context: typer.Context,
    *,
    prompt: Question = None,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="OUT", help="Trace file; `-` is stdout, without the answer."),
    ],
    model: Model = None,
    preset: PresetName = None,
    system: SystemPrompt = None,
    file: PromptFiles = None,
    stages: Annotated[bool, typer.Option("--stages", help="Record what each sampler stage did.")] = False,
    k: Annotated[
        int, typer.Option("-k", min=0, max=100, metavar="K", help="Number of candidates to record for each token.")
    ] = TRACE_TOP_K,
    overwrite: Overwrite = False,
    speculate: Speculate = None,
    draft: DraftModel = None,
    stats: Stats = False,
    sampling: dict[str, Any],
) -> int:
    """Answer one question and record every token in a trace file."""
    options = AskOptions(
        prompt=prompt,
        model=model,
        preset=preset,
        system=system,
        files=tuple(file or ()),
        sampling=sampling,
        format=Format.NOTHING if str(output) == "-" else Format.TEXT,
        stats=stats,
        logprobs=k,
        trace_stages=stages,
        trace=output,
        overwrite=overwrite,
        speculate=speculate,
        draft=draft,
        save=False,
    )
    from app.cli.ask.run import run_ask

    return run_ask(options, context.obj)
