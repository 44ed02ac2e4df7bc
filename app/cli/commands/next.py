"""`tok next`: what the next token may be, before and after the sampler's chain. Nothing is generated."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.cli.common.options import AskOptions, Model, PresetName, SystemPrompt
from app.cli.common.sampling import takes_sampling
from app.domain.errors import UsageError


@takes_sampling
def next_(  # noqa: PLR0913 -- one parameter an option
    context: typer.Context,
    *,
    prompt: Annotated[
        str | None, typer.Argument(metavar="PROMPT", help="The question. Standard input, if piped, is added to it.")
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Continue the text as it is: no chat template, no system prompt.")
    ] = False,
    k: Annotated[int, typer.Option("-k", min=1, max=1000, metavar="K", help="Number of candidates to show.")] = 20,
    model: Model = None,
    preset: PresetName = None,
    system: SystemPrompt = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    sampling: dict[str, Any],
) -> int:
    """Show the candidates for the next token. Lists them before and after each sampler stage."""
    if raw and system is not None:
        raise UsageError("--raw and --system exclude each other", hint="raw text has no system prompt")
    from app.cli.score.preview import run_next

    options = AskOptions(prompt=prompt, model=model, preset=preset, system=system, sampling=sampling)
    return run_next(options, context.obj, raw=raw, k=k, as_json=as_json)
