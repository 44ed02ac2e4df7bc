"""`tok replay`: plays a trace without its model, or runs it again and compares."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.common.options import Model, ThemeName
from app.domain.errors import UsageError


def replay(  # noqa: PLR0913, PLR0917 -- one parameter an option
    context: typer.Context,
    trace: Annotated[Path, typer.Argument(metavar="FILE", help="Trace file (`tok trace -o FILE`).")],
    speed: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=64.0,
            metavar="X",
            help="Playback speed: 1 is original, 2 twice as fast, 0 shows all at once.",
            show_default=False,
        ),
    ] = None,
    theme: ThemeName = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compute the run again in exact mode and report the first difference.")
    ] = False,
    model: Model = None,
    as_json: Annotated[bool, typer.Option("--json", help="With --verify, print one JSON object.")] = False,
    partial: Annotated[bool, typer.Option("--partial", help="Accept a trace that was cut off.")] = False,
) -> int:
    """Play a recorded reply in the chat. Nothing is computed or stored."""
    if verify and (speed is not None or theme):
        raise UsageError("--speed and --theme cannot be used with --verify")
    if not verify and (model or as_json):
        raise UsageError("--model and --json need --verify", hint="a replay uses no model")
    from app.cli.trace.reader import read_trace

    recording = read_trace(trace, partial=partial)
    if verify:
        from app.cli.trace.verify import run_verify

        return run_verify(recording, model, context.obj, as_json=as_json)
    from app.tui.replay.app import run_replay

    return run_replay(recording, speed=1.0 if speed is None else speed, theme=theme)
