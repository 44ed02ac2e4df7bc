"""Keeps requests in flight: so many at once, each retried once when the engine is lost, until the lines end.

Knows the engine and the order of results; knows no file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any

from app.cli.ask.answer import Answer
from app.cli.batch.lines import BadLine, Request
from app.cli.batch.output import Order, Progress
from app.cli.common import console
from app.cli.common.exit_codes import ExitCode
from app.client.engine import Engine, is_crash_looping
from app.domain.errors import EngineLostError
from app.domain.generation import ContextPolicy, FinishReason
from app.domain.text import one_line
from app.protocol.commands import Generate
from app.protocol.events import EngineLost, GenerationEvent, GenerationFinished

_ON = "run the same command to resume"


class Flight:
    """One run over lines.

    Attributes:
        n_failed: lines that ended in an error.
    """

    def __init__(
        self,
        engine: Engine,
        lines: Iterator[Request | BadLine],
        order: Order,
        progress: Progress,
        *,
        speculate: bool | None = None,
        context_policy: ContextPolicy = "stop",
    ) -> None:
        self.n_failed = 0
        self._engine = engine
        self._lines = lines
        self._order = order
        self._progress = progress
        self._speculate = speculate
        self._context_policy: ContextPolicy = context_policy
        self._running: set[int] = set()
        self._notices: set[str] = set()
        """Those that were shown: many lines may have the same ones."""
        self._stopped = False

    async def run(self, parallel: int) -> None:
        """Answers the lines. Raises EngineLostError when the engine cannot be had again."""
        tasks = [asyncio.create_task(self._work()) for _ in range(parallel)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def stop(self) -> None:
        """Ends what runs and starts nothing more; what is in flight is left for the next run."""
        self._stopped = True
        self._order.close()
        for request_id in self._running:
            self._engine.abort(request_id)

    async def _work(self) -> None:
        for line in self._lines:
            if not await self._order.room(line.index):
                return
            bad = isinstance(line, BadLine)
            result = _error_result(line, line.error, line.hint, ExitCode.USAGE) if bad else await self._answer(line)
            if result is None:
                return
            failed = "error" in result
            self.n_failed += failed
            self._order.put(line.index, result)
            self._progress.advance(failed=failed)

    async def _answer(self, line: Request) -> dict[str, Any] | None:
        """Returns the result of a line; None where it was stopped."""
        answer, last = await self._ask(line)
        if isinstance(last, EngineLost) and not self._stopped and not is_crash_looping(self._engine):
            answer, last = await self._ask(line)
        if self._stopped and (
            last is None or isinstance(last, EngineLost) or answer.finish_reason is FinishReason.ABORT
        ):
            return None
        gone = isinstance(last, EngineLost) and (last.exit_code is None or is_crash_looping(self._engine))
        if gone or (isinstance(last, GenerationFinished) and answer.error and self._engine.model is None):
            raise EngineLostError(answer.error, hint=_ON)
        for said in filter(None, (answer.lost, answer.cut_off)):
            console.print_stderr(f"tok: index {line.index}: {said}")
        for notice in (each for each in answer.notices if each not in self._notices):
            self._notices.add(notice)
            console.print_stderr(f"tok: index {line.index}: {one_line(notice)}")
        report = answer.report()
        if answer.error:
            return _error_result(line, answer.error, answer.hint, answer.exit_code)
        incomplete = ("incomplete",) if answer.incomplete else ()
        keys = ("text", "reasoning", "finish_reason", *incomplete, "usage", "timings")
        del report["timings"]["load_ms"]  # the model is loaded once, for no line in particular
        return {"index": line.index, "id": line.id} | {key: report[key] for key in keys}

    async def _ask(self, line: Request) -> tuple[Answer, GenerationEvent | None]:
        answer, last = Answer("", ""), None
        if self._engine.model:
            answer.n_ctx = self._engine.model.n_ctx
        request_id = self._engine.next_request_id()
        command = Generate(
            request_id,
            line.messages,
            line.sampling,
            0,
            speculate=self._speculate,
            context_policy=self._context_policy,
            cacheable=False,  # no conversation that is opened again, and it would put those out of the cache folder
        )
        self._running.add(request_id)
        try:
            async with aclosing(self._engine.generate(command)) as events:
                async for event in events:
                    answer.take(event)
                    last = event
        finally:
            self._running.discard(request_id)
        return answer, last


def _error_result(line: Request | BadLine, error: str, hint: str, code: ExitCode) -> dict[str, Any]:
    """Tells people what went wrong with a line, and returns that as its result."""
    console.print_error(f"line {line.number}: {one_line(error)}", one_line(hint))
    return {"index": line.index, "id": line.id} | console.error_object(f"line {line.number}: {error}", hint, code)
