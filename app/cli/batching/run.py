"""Runs a batch from its files to its exit code."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from app.cli import console
from app.cli.asking.interrupt import Interrupt
from app.cli.asking.loading import load_model
from app.cli.asking.options import AskOptions
from app.cli.asking.setup import Setup, look_up
from app.cli.batching.flight import Flight
from app.cli.batching.lines import RawLine, read_line, split_lines
from app.cli.batching.options import BatchOptions
from app.cli.batching.output import Earlier, Order, OutputFile, read_earlier
from app.cli.batching.progress import progress_for
from app.cli.exit_codes import ExitCode
from app.cli.launch import EngineLauncher
from app.client.engine import Engine
from app.domain.errors import UsageError
from app.domain.text import one_line

_STANDARD = Path("-")
_AHEAD = 16
"""How many times `parallel` requests may run ahead of the oldest one."""


def run_batch(options: BatchOptions, launcher: EngineLauncher) -> int:
    """Answers every line that is not answered yet and returns the exit code."""
    setup = look_up(
        AskOptions(
            model=options.model,
            preset=options.preset,
            system=options.system,
            speculate=options.speculate,
            draft=options.draft,
            sampling=options.sampling,
        )
    )
    lines = split_lines(_read_source(options.source, options.output))
    earlier = Earlier()
    if options.output != _STANDARD and not options.overwrite:
        earlier = read_earlier(options.output, (read_line(line, setup.preset).id for line in lines))
    if earlier.n_done:
        console.talk(f"tok: {earlier.n_done} of {len(lines)} lines are there already")
    with ExitStack() as stack:
        if options.output == _STANDARD:
            write = console.write_out
        else:
            file = OutputFile(options.output, overwrite=options.overwrite)
            stack.callback(file.close)
            write = file.write
        if earlier.n_done == len(lines):
            return ExitCode.FAILED if earlier.n_failed else ExitCode.OK
        return asyncio.run(_run(options, setup, lines, earlier, write, launcher))


async def _run(
    options: BatchOptions,
    setup: Setup,
    lines: Sequence[RawLine],
    earlier: Earlier,
    write: Callable[[str], None],
    launcher: EngineLauncher,
) -> int:
    n_failed = earlier.n_failed
    engine = launcher.engine()
    try:
        with Interrupt() as interrupt:
            try:
                n_failed += await _fly(options, setup, lines, earlier, write, engine, interrupt)
            except asyncio.CancelledError:
                if not interrupt.requested:
                    raise
    finally:
        await engine.close()
    if interrupt.requested:
        hint = "" if options.output == _STANDARD else "the same command goes on where this ended"
        console.print_error("interrupted", hint)
        return ExitCode.INTERRUPTED
    return ExitCode.FAILED if n_failed else ExitCode.OK


async def _fly(
    options: BatchOptions,
    setup: Setup,
    lines: Sequence[RawLine],
    earlier: Earlier,
    write: Callable[[str], None],
    engine: Engine,
    interrupt: Interrupt,
) -> int:
    """Returns how many lines failed. The engine gets a slot a request, so that none shares cells with another."""
    parallel = min(options.parallel, len(lines) - earlier.n_done)
    slots = msgspec.structs.replace(setup.model.options, n_slots=parallel)
    await load_model(engine, msgspec.structs.replace(setup.model, options=slots))
    order = Order(write, earlier.n_done, parallel * _AHEAD)
    bar = options.output != _STANDARD or not console.stdout_is_terminal()
    with progress_for(len(lines), earlier.n_done, earlier.n_failed, bar=bar) as progress:
        requests = (read_line(line, setup.preset) for line in lines[earlier.n_done :])
        policy = setup.preset.context
        flight = Flight(engine, requests, order, progress, speculate=setup.speculate, context_policy=policy)
        interrupt.stop = flight.stop
        await flight.run(parallel)
    return flight.n_failed


def _read_source(source: Path, output: Path) -> bytes:
    """The whole input: it is small beside the time that it takes to answer it."""
    if source == _STANDARD:
        if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison] -- Python sets it to None for `<&-`
            return b""
        return sys.stdin.buffer.read()
    try:
        if output != _STANDARD and output.exists() and os.path.samefile(source, output):
            raise UsageError("input and output are the same file", hint="-o names the output")
        return source.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {one_line(str(source))}: {error.strerror}") from error
