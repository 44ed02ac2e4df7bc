"""One answer to one question; `ManyAnswers` in the module beside is the other kind."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from app.cli import console
from app.cli.asking.answer import Answer
from app.cli.asking.options import AskOptions
from app.cli.asking.setup import Setup
from app.cli.asking.sinks import cut_off_hint, sink_for, slots_held
from app.cli.asking.stats import print_stats
from app.domain.sampling import is_constrained
from app.protocol.events import ContextTrimmed, GenerationStarted, ModelReady, SlotsHeld
from app.session.events import TurnEvent
from app.session.session import Session


class Asking(Protocol):
    """What is asked of a session, and how its answers are told. The methods are called in this order."""

    def ready(self, model: ModelReady) -> None:
        """The model is loaded."""
        ...

    def send(self, session: Session, prompt: str) -> AsyncGenerator[tuple[int, TurnEvent]]:
        """Sends the question; each event comes with the index of its answer."""
        ...

    def take(self, index: int, event: TurnEvent) -> None:
        """Folds one event in and shows what there is to show of it."""
        ...

    def interrupt(self) -> None:
        """The user pressed Ctrl-C."""
        ...

    def end(self) -> None:
        """Writes the rest to standard output."""
        ...

    def report(self) -> int:
        """Tells failures and figures on standard error; returns the exit code."""
        ...


class OneAnswer:
    """See `Asking`."""

    def __init__(self, options: AskOptions, setup: Setup) -> None:
        self._answer = Answer(
            setup.model.name,
            setup.preset.name,
            keep_tokens=options.logprobs is not None,
            constrained=is_constrained(setup.preset.sampling),
        )
        self._sink = sink_for(options, self._answer)
        self._stats = options.stats

    def ready(self, model: ModelReady) -> None:
        """Notes the load."""
        self._answer.take(model)

    async def send(self, session: Session, prompt: str) -> AsyncGenerator[tuple[int, TurnEvent]]:
        """Sends the question; the index is always 0."""
        async with aclosing(session.send(prompt)) as events:
            async for event in events:
                yield 0, event

    def take(self, index: int, event: TurnEvent) -> None:
        """Shows one event."""
        event = self._answer.shown(event)
        self._answer.take(event)
        self._sink.take(event)
        if isinstance(event, ContextTrimmed):
            console.talk(f"tok: {self._answer.lost}")
        elif isinstance(event, SlotsHeld):
            console.print_error(*slots_held(event))
        elif isinstance(event, GenerationStarted):
            for notice in event.notices:
                console.talk(f"tok: {notice}")

    def interrupt(self) -> None:
        """Keeps what came."""
        self._answer.interrupt()

    def end(self) -> None:
        """Writes the rest."""
        self._sink.end(self._answer)

    def report(self) -> int:
        """Tells why there is no whole answer, what was forgotten, and the figures where they are asked for."""
        if self._answer.n_shifted_tokens:
            console.talk(f"tok: {self._answer.lost}")
        if self._answer.cut_off:
            console.print_error(self._answer.cut_off, cut_off_hint(self._answer))
        if self._answer.error:
            console.print_error(self._answer.error, self._answer.hint)
        if self._stats:
            print_stats(self._answer)
        return self._answer.exit_code
