"""Runs a batch from its files to its exit code."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec
from msgspec import Struct

from app.cli.batch.earlier import Earlier, put_redone, read_earlier, redone_file
from app.cli.batch.flight import Flight
from app.cli.batch.lines import BadLine, Request, read_line, split_lines
from app.cli.batch.options import BatchOptions
from app.cli.batch.output import Order, OutputFile, progress_for
from app.cli.common import console
from app.cli.common.engine import load_model
from app.cli.common.exit_codes import ExitCode
from app.cli.common.interrupt import Interrupt, running
from app.cli.common.launching import EngineLauncher
from app.cli.common.options import AskOptions
from app.cli.common.setup import Setup, look_up
from app.client.engine import Engine
from app.domain.errors import UsageError
from app.domain.fit import default_n_ctx
from app.domain.text import one_line

_TEMPLATE = 1024
"""Tokens that a template may write around the messages."""
_MESSAGE = 64
"""Tokens that it may write around each of them."""


def window_for(requests: Iterable[Request], n_ctx_train: int) -> int | None:
    """Tokens that the longest request can take, reply and all; None where the usual window is no larger.

    A token is at least one byte. A request without `max_tokens` may fill any window.
    """
    needed = 0
    for request in requests:
        if request.sampling.max_tokens is None:
            return None
        n_bytes = sum(_MESSAGE + len(message.content.encode(errors="replace")) for message in request.messages)
        needed = max(needed, n_bytes + request.sampling.max_tokens + _TEMPLATE)
    return needed if 0 < needed < default_n_ctx(n_ctx_train) else None


_STANDARD = Path("-")
_AHEAD = 16
"""How many times `parallel` requests may run ahead of the oldest one."""
_NAMED = 10
"""Lines that are named before the rest is counted."""


class Todo(Struct, frozen=True):
    """What a run has to do."""

    lines: Sequence[Request | BadLine]
    """Those that failed in an earlier run, then those that it did not come to."""
    earlier: Earlier
    n_total: int
    """Lines of the whole input."""

    @property
    def n_requests(self) -> int:
        """How many need the engine."""
        return sum(isinstance(line, Request) for line in self.lines)


def run_batch(options: BatchOptions, launcher: EngineLauncher) -> int:
    """Answers every line that has no answer yet and returns the exit code."""
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
    raw = split_lines(_read_source(options.source, options.output))
    lines = [read_line(line, setup.preset) for line in raw]
    earlier = Earlier()
    if options.output != _STANDARD and not options.overwrite:
        earlier = read_earlier(options.output, [line.id for line in lines])
    todo = Todo([*(lines[index] for index in earlier.failed), *lines[earlier.n_lines :]], earlier, len(lines))
    if earlier.n_lines:
        console.print_stderr(f"tok: {earlier.n_answered} of {len(lines)} lines are answered already")
    if earlier.failed:
        console.print_stderr(f"tok: {_redone(lines, earlier.failed)}")
    with ExitStack() as stack:
        write = _writer(options, earlier, stack)
        return asyncio.run(_run(options, setup, todo, write, launcher)) if todo.lines else ExitCode.OK


def _redone(lines: Sequence[Request | BadLine], failed: Sequence[int]) -> str:
    """What is done again, by the numbers of the input's lines."""
    numbers = ", ".join(str(lines[index].number) for index in failed[:_NAMED])
    more = f" and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
    return f"retrying a failed line: {numbers}" if len(failed) == 1 else (f"retrying failed lines: {numbers}{more}")


def _writer(options: BatchOptions, earlier: Earlier, stack: ExitStack) -> Callable[[int, str], None]:
    """Returns what writes a result: at the end of the output, or beside it until it takes an error's place there."""
    if options.output == _STANDARD:
        return lambda _, line: console.write_out(line)
    file = OutputFile(options.output, overwrite=options.overwrite)
    stack.callback(file.close)
    if options.overwrite:
        redone_file(options.output).unlink(missing_ok=True)
    if not earlier.failed:
        return lambda _, line: file.write(line)
    redone = OutputFile(redone_file(options.output), overwrite=False)
    stack.callback(put_redone, options.output)
    stack.callback(redone.close)
    return lambda index, line: (redone if index < earlier.n_lines else file).write(line)


async def _run(
    options: BatchOptions, setup: Setup, todo: Todo, write: Callable[[int, str], None], launcher: EngineLauncher
) -> int:
    n_failed = 0
    engine = launcher.engine()
    async with running(engine) as interrupt:
        n_failed = await _fly(options, setup, todo, write, engine, interrupt)
    if interrupt.requested:
        hint = "" if options.output == _STANDARD else "run the same command to resume"
        console.print_error(str(interrupt.ended), hint)
        return interrupt.exit_code
    return ExitCode.FAILED if n_failed else ExitCode.OK


async def _fly(
    options: BatchOptions,
    setup: Setup,
    todo: Todo,
    write: Callable[[int, str], None],
    engine: Engine,
    interrupt: Interrupt,
) -> int:
    """Returns how many lines failed. The engine gets a slot a request."""
    parallel = max(1, min(options.parallel, todo.n_requests))
    if todo.n_requests:
        loaded = msgspec.structs.replace(setup.model.options, n_slots=parallel)
        if loaded.n_ctx is None and setup.model.sizes:
            requests = (line for line in todo.lines if isinstance(line, Request))
            loaded = msgspec.structs.replace(loaded, n_ctx=window_for(requests, setup.model.sizes.n_ctx_train))
        await load_model(engine, msgspec.structs.replace(setup.model, options=loaded))
    order = Order(write, [line.index for line in todo.lines], parallel * _AHEAD)
    bar = options.output != _STANDARD or not console.stdout_is_terminal()
    with progress_for(todo.n_total, todo.n_total - len(todo.lines), bar=bar) as progress:
        policy = setup.preset.context
        flight = Flight(engine, iter(todo.lines), order, progress, speculate=setup.speculate, context_policy=policy)
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
            raise UsageError("input and output are the same file", hint="give another file with -o")
        return source.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {one_line(str(source))}: {error.strerror}") from error
