"""Answers a question as `tok ask` does, then explains how the reply was made with its figures."""

from __future__ import annotations

import asyncio
import shutil
import textwrap
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from msgspec.structs import replace

from app.analysis.ending import ReplyContext
from app.analysis.meter import RunMeter
from app.analysis.story import STEPS, TRICKS, Chapter, story
from app.cli.ask.answers import OneAnswer
from app.cli.ask.run import run_asking
from app.cli.common import console
from app.cli.common.inputs import gather_prompt
from app.cli.common.launching import EngineLauncher
from app.cli.common.options import AskOptions
from app.cli.common.setup import Setup, look_up
from app.protocol.events import EngineLost, GenerationEvent, ModelReady
from app.session.events import TurnEvent
from app.session.session import Session

_WIDEST = 80


def run_explain(options: AskOptions, launcher: EngineLauncher) -> int:
    """Returns the exit code of the answer. Raises TokscopeError as `tok ask` does."""
    setup = look_up(options)
    prompt = gather_prompt(options.prompt, options.files, "explain")
    return asyncio.run(run_asking(options, setup, prompt, launcher, Explained(options, setup)))


class Explained:
    """An `Asking` that keeps one answer and the figures to explain it."""

    def __init__(self, options: AskOptions, setup: Setup) -> None:
        self._answer = OneAnswer(options, setup)
        drafts = setup.model.options.draft is not None if setup.speculate is None else setup.speculate
        self._setting = ReplyContext(drafts, setup.preset.context, setup.preset.sampling)
        self._meter = RunMeter()
        self._model: ModelReady | None = None

    def ready(self, model: ModelReady) -> None:
        """Notes the load."""
        self._model = model
        self._answer.ready(model)

    async def send(self, session: Session, prompt: str) -> AsyncGenerator[tuple[int, TurnEvent]]:
        """Sends the question, and asks for the tokens that it becomes."""
        session.settings = replace(session.settings, include_prompt=True)
        async with aclosing(self._answer.send(session, prompt)) as events:
            async for event in events:
                yield event

    def take(self, index: int, event: TurnEvent) -> None:
        """Shows the answer's text and folds its figures."""
        if isinstance(event, GenerationEvent | EngineLost):
            self._meter.apply(event)
        self._answer.take(index, event)

    def interrupt(self) -> None:
        """Keeps what came."""
        self._answer.interrupt()

    def end(self) -> None:
        """Writes the rest of the answer, then the explanation if there is one."""
        self._answer.end()
        if self._meter.tokens:
            console.print_line()
            print_story(story(self._meter, self._model, self._setting))

    def report(self) -> int:
        """Tells why there is no whole answer."""
        return self._answer.report()


def print_story(parts: tuple[Sequence[Chapter], Sequence[Chapter]]) -> None:
    """Writes the chapters, wrapped for the terminal."""
    width = min(_WIDEST, shutil.get_terminal_size().columns)
    for number, (heading, chapters) in enumerate(zip((STEPS, TRICKS), parts, strict=True)):
        if number:
            console.print_line()
        console.print_line(heading)
        for chapter in chapters:
            text = textwrap.fill(f"{chapter.title}. {chapter.text}", width, subsequent_indent="  ")
            console.print_line(text)
