"""`tok ask`: one question, one answer, for people and for pipes."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.cli.common.options import (
    AskOptions,
    ContinueLast,
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
    TraceTo,
)
from app.cli.common.sampling import takes_sampling
from app.domain.errors import UsageError


@takes_sampling
def ask(
    context: typer.Context,
    *,
    prompt: Question = None,
    model: Model = None,
    preset: PresetName = None,
    system: SystemPrompt = None,
    file: PromptFiles = None,
    n: Annotated[
        int, typer.Option("-n", min=1, max=16, metavar="N", help="Number of answers to generate at once.")
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object when the answer is complete.")] = False,
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="Print JSON events, one per line, as they happen.")] = False,
    stats: Stats = False,
    logprobs: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=100,
            metavar="K",
            help="Report each token with K alternatives; needs --json, --jsonl or --trace.",
        ),
    ] = None,
    trace_stages: Annotated[
        bool,
        typer.Option("--trace-stages", help="Report what each sampler stage did; implies --logprobs 10."),
    ] = False,
    trace: TraceTo = None,
    overwrite: Overwrite = False,
    speculate: Speculate = None,
    draft: DraftModel = None,
    no_stream: Annotated[
        bool,
        typer.Option(
            "--no-stream",
            help="Print the answer when it is complete, not as it comes.",
        ),
    ] = False,
    show_thinking: Annotated[
        bool,
        typer.Option("--show-thinking", help="Print the model's thinking before the answer."),
    ] = False,
    continue_last: ContinueLast = False,
    no_save: Annotated[bool, typer.Option("--no-save", help="Do not store the question and answer.")] = False,
    sampling: dict[str, Any],
) -> int:
    """Answer one question and exit."""
    if as_json and as_jsonl:
        raise UsageError("--json and --jsonl exclude each other")
    if show_thinking and (as_json or as_jsonl):
        raise UsageError("--show-thinking is for plain text", hint="JSON output always has `reasoning`")
    for name, wanted in {"--logprobs": logprobs is not None, "--trace-stages": trace_stages}.items():
        if wanted and not (as_json or as_jsonl or trace):
            raise UsageError(f"{name} needs --json, --jsonl or --trace", hint="plain text cannot show it")
    if trace and str(trace) == "-":
        raise UsageError("--trace needs a file", hint="use `tok trace … -o -` to print the trace without the answer")
    if trace and n > 1:
        raise UsageError("--trace takes one answer, not several", hint="omit -n, or ask once per seed")
    options = AskOptions(
        prompt=prompt,
        model=model,
        preset=preset,
        system=system,
        files=tuple(file or ()),
        sampling=sampling,
        n=n,
        format=Format.JSON if as_json else Format.JSONL if as_jsonl else Format.TEXT,
        stats=stats,
        logprobs=10 if trace_stages and logprobs is None else logprobs,
        trace_stages=trace_stages,
        trace=trace,
        overwrite=overwrite,
        speculate=speculate,
        draft=draft,
        stream=not no_stream,
        show_thinking=show_thinking,
        continue_last=continue_last,
        save=not no_save,
    )
    from app.cli.ask.run import run_ask

    return run_ask(options, context.obj)
