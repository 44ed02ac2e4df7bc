"""`tok ask`: one question, one answer, for people and for pipes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.asking.options import AskOptions, Format
from app.cli.options import ContinueLast, Model, PresetName
from app.domain.errors import UsageError


def ask(
    context: typer.Context,
    prompt: Annotated[str | None, typer.Argument(help="The question. Standard input is added to it.")] = None,
    model: Model = None,
    preset: PresetName = None,
    system: Annotated[
        str | None, typer.Option("--system", "-s", help="System prompt instead of the preset's.", show_default=False)
    ] = None,
    file: Annotated[
        list[Path] | None, typer.Option("--file", "-f", help="Add a text file to the prompt; may be repeated.")
    ] = None,
    temperature: Annotated[float | None, typer.Option(min=0.0, max=100.0, help="0 is greedy.")] = None,
    top_k: Annotated[int | None, typer.Option(min=0, help="Keep the k most likely tokens; 0 keeps all.")] = None,
    top_p: Annotated[float | None, typer.Option(min=0.0, max=1.0, help="Nucleus; 1 is off.")] = None,
    min_p: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Drop what is less likely than this share of the best.")
    ] = None,
    repeat_penalty: Annotated[float | None, typer.Option(min=0.0, max=10.0, help="1 is off.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=4294967294, help="Seed of the random draw.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Longest answer in tokens.")] = None,
    stop: Annotated[list[str] | None, typer.Option(help="Text that ends the answer; may be repeated.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="Print one JSON event a line, as it happens.")] = False,
    stats: Annotated[bool, typer.Option("--stats", help="Tell counts and speed on standard error.")] = False,
    logprobs: Annotated[
        int | None,
        typer.Option(min=0, max=100, metavar="K", help="With --json or --jsonl: each token and K alternatives."),
    ] = None,
    no_stream: Annotated[bool, typer.Option("--no-stream", help="Print the answer when it is complete.")] = False,
    continue_last: ContinueLast = False,
    no_save: Annotated[bool, typer.Option("--no-save", help="Keep nothing of this in the history.")] = False,
) -> int:
    """Answer once and exit."""
    if as_json and as_jsonl:
        raise UsageError("--json and --jsonl exclude each other")
    if logprobs is not None and not (as_json or as_jsonl):
        raise UsageError("--logprobs needs --json or --jsonl", hint="plain text has no place for it")
    sampling = {
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "repeat_penalty": repeat_penalty,
        "seed": seed,
        "max_tokens": max_tokens,
        "stop": tuple(stop) if stop else None,
    }
    options = AskOptions(
        prompt=prompt,
        model=model,
        preset=preset,
        system=system,
        files=tuple(file or ()),
        sampling={name: value for name, value in sampling.items() if value is not None},
        format=Format.JSON if as_json else Format.JSONL if as_jsonl else Format.TEXT,
        stats=stats,
        logprobs=logprobs,
        stream=not no_stream,
        continue_last=continue_last,
        save=not no_save,
    )
    from app.cli.asking.run import run_ask

    return run_ask(options, context.obj)
