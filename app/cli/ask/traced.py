"""Records an answer while it comes: stands between `tok ask`'s loop and the printed answer.

A trace that cannot be written does not end the answer: it is reported once, and the exit code is 1.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from msgspec.structs import replace

from app.analysis.recording import ModelOfRecord
from app.cli.ask.answers import Asking
from app.cli.common import console
from app.cli.common.exit_codes import ExitCode
from app.cli.common.setup import Setup
from app.cli.trace.digest import hash_model
from app.cli.trace.file import LineSink
from app.cli.trace.recorder import TraceRecorder
from app.domain import units
from app.domain.errors import TokscopeError
from app.protocol.events import ModelReady
from app.session.events import TurnEvent
from app.session.session import Session
from app.session.tree import prompt_messages


class TracedAnswer:
    """An `Asking` that writes each event to a trace before it passes it on."""

    def __init__(self, asking: Asking, setup: Setup, sink: LineSink) -> None:
        self._asking = asking
        self._setup = setup
        self._sink = sink
        self._recorder = TraceRecorder(sink.write)
        self._ready: ModelReady | None = None
        self._failed = False

    def ready(self, model: ModelReady) -> None:
        """Notes the load."""
        self._ready = model
        self._asking.ready(model)

    async def send(self, session: Session, prompt: str) -> AsyncGenerator[tuple[int, TurnEvent]]:
        """Hashes the model, before anything is measured, then sends the question."""
        assert self._ready is not None
        located, ready = self._setup.model, self._ready
        digest = await hash_model(located.path)
        self._recorder.begin(
            ModelOfRecord(
                name=located.name,
                title=located.title,
                sha256=digest.sha256,
                n_bytes=digest.n_bytes,
                options=replace(located.options, n_slots=1, draft=None, chat_template=None),
                ready=replace(ready, path=Path(ready.path).name),
            ),
            self._setup.preset,
            speculate=self._setup.speculate,
            messages=lambda: prompt_messages(self._setup.preset, session.branch),
        )
        session.settings = replace(session.settings, include_prompt=True)
        async with aclosing(self._asking.send(session, prompt)) as events:
            async for event in events:
                yield event

    def take(self, index: int, event: TurnEvent) -> None:
        """Writes an event's lines, then shows it."""
        if not self._failed:
            try:
                self._recorder.take(event)
            except TokscopeError as error:
                self._failed = True
                console.print_error(f"the trace ends here: {error}", error.hint)
        self._asking.take(index, event)

    def interrupt(self) -> None:
        """Keeps what came."""
        self._asking.interrupt()

    def end(self) -> None:
        """Writes the rest of the answer."""
        self._asking.end()

    def report(self) -> int:
        """Tells what was traced; a trace that broke is a failure."""
        code = self._asking.report()
        if not self._failed:
            console.print_stderr(f"tok: {units.tokens(self._recorder.n_tokens)} traced in {self._sink.name}")
        return code or (ExitCode.FAILED if self._failed else ExitCode.OK)
