"""Answers `Bench`: repetitions of one raw measurement, each told as it is done."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from itertools import islice

from app.engine.core.backend import ComputeError
from app.engine.native.loader import Loaded
from app.engine.native.raw import RawRun, measure
from app.protocol.commands import Bench
from app.protocol.events import BenchFinished, BenchMeasured, Event


def run_bench(
    command: Bench, loaded: Loaded | None, send: Callable[[Event], None], stopped: Callable[[], bool]
) -> None:
    """Sends one BenchMeasured a repetition and one BenchFinished; a failure is told, never raised."""
    error = ""
    if loaded is None:
        error = "no model is loaded"
    elif not (command.n_prompt > 0) ^ (command.n_gen > 0):
        error = "one of n_prompt and n_gen must be 0"
    else:
        run = RawRun(command.n_prompt, command.n_gen, command.depth)
        n_threads = loaded.context.n_threads
        seconds = measure(loaded.model, loaded.options, n_threads, run, warm_up=command.warm_up, stopped=stopped)
        try:
            with closing(seconds):
                for elapsed in islice(seconds, command.n_reps):
                    send(BenchMeasured(command.request_id, elapsed))
        except ComputeError as failure:
            error = str(failure)
    send(BenchFinished(command.request_id, error))
