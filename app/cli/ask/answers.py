"""One answer to one question, or several at once (`tok ask -n N`)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Protocol

from app.cli.ask.answer import Answer
from app.cli.ask.sinks import (
    JsonlSink,
    TextSink,
    cut_off_hint,
    drafts_note,
    error_of,
    print_row,
    print_stats,
    sink_for,
    slots_held,
)
from app.cli.common import console
from app.cli.common.exit_codes import ExitCode
from app.cli.common.options import AskOptions, Format
from app.cli.common.setup import Setup
from app.domain import units
from app.domain.conversation import UserMessage
from app.protocol.events import ContextTrimmed, EngineLost, GenerationFinished, GenerationStarted, ModelReady, SlotsHeld
from app.session.events import TurnEvent
from app.session.session import Session


class Asking(Protocol):
    """What to ask a session and how to print its answers. The methods are called in this order."""

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
        )
        self._sink = sink_for(options, self._answer)
        self._stats = options.stats

    def ready(self, model: ModelReady) -> None:
        """Notes the load."""
        self._answer.take(model)

    async def send(self, session: Session, prompt: str) -> AsyncGenerator[tuple[int, TurnEvent]]:
        """Sends the question; the index is always 0."""
        async with aclosing(session.send(UserMessage(prompt))) as events:
            async for event in events:
                yield 0, event

    def take(self, index: int, event: TurnEvent) -> None:
        """Shows one event."""
        self._answer.take(event)
        self._sink.take(event)
        if isinstance(event, ContextTrimmed):
            console.print_stderr(f"tok: {self._answer.lost}")
        elif isinstance(event, SlotsHeld):
            console.print_error(*slots_held(event))
        elif isinstance(event, GenerationStarted):
            for notice in event.notices:
                console.print_stderr(f"tok: {notice}")

    def interrupt(self) -> None:
        """Keeps what came."""
        self._answer.interrupt()

    def end(self) -> None:
        """Writes the rest."""
        self._sink.end(self._answer)

    def report(self) -> int:
        """Tells why there is no whole answer, what was forgotten, and the figures where they are asked for."""
        if self._answer.n_shifted_tokens:
            console.print_stderr(f"tok: {self._answer.lost}")
        if self._answer.cut_off:
            console.print_error(self._answer.cut_off, cut_off_hint(self._answer))
        if self._answer.error:
            console.print_error(self._answer.error, self._answer.hint)
        if self._stats:
            print_stats(self._answer)
        return self._answer.exit_code


class ManyAnswers:
    """See `app.cli.ask.answers.Asking`."""

    def __init__(self, options: AskOptions, setup: Setup) -> None:
        keep_tokens = options.logprobs is not None and options.format is Format.JSON
        self._answers = [Answer(setup.model.name, setup.preset.name, keep_tokens=keep_tokens) for _ in range(options.n)]
        self._options = options
        tokens = options.logprobs is not None
        self._lines = [JsonlSink(answer, tokens=tokens, index=index) for index, answer in enumerate(self._answers)]
        self._n_printed = 0
        self._interrupted = self._waits = False

    def ready(self, model: ModelReady) -> None:
        """Notes the load."""
        for answer in self._answers:
            answer.take(model)

    def send(self, session: Session, prompt: str) -> AsyncGenerator[tuple[int, TurnEvent]]:
        """Sends the question, to be answered several times."""
        return session.send_many(UserMessage(prompt), self._options.n)

    def take(self, index: int, event: TurnEvent) -> None:
        """Shows what can be shown now."""
        answer = self._answers[index]
        answer.take(event)
        if self._options.format is Format.JSONL:
            self._lines[index].take(event)
        if isinstance(event, SlotsHeld) and not self._waits:
            self._waits = True
            console.print_error(*slots_held(event))
        if isinstance(event, GenerationFinished | EngineLost):
            if self._options.format is Format.JSONL:
                self._lines[index].end(answer)
            elif self._options.format is Format.TEXT:
                self._print_complete()

    def interrupt(self) -> None:
        """Keeps what came of each."""
        self._interrupted = True

    def end(self) -> None:
        """Writes the rest."""
        unended = [index for index, answer in enumerate(self._answers) if answer.finish_reason is None]
        for index in unended:
            self._answers[index].interrupt()
        match self._options.format:
            case Format.TEXT:
                self._print_complete()
            case Format.JSONL:
                for index in unended:
                    self._lines[index].end(self._answers[index])
                console.print_json({"event": "aggregate", **self._aggregate()})
            case Format.JSON:
                console.print_json(self._object())
            case Format.NOTHING:
                pass

    def report(self) -> int:
        """Tells which answers failed, what was left out, and the figures where they are asked for."""
        for notice in dict.fromkeys(notice for answer in self._answers for notice in answer.notices):
            console.print_stderr(f"tok: {notice}")
        for lost in dict.fromkeys(answer.lost for answer in self._answers if answer.lost):
            console.print_stderr(f"tok: {lost}")
        for number, answer in enumerate(self._answers, 1):
            if answer.cut_off:
                console.print_error(f"answer {number}: {answer.cut_off}", cut_off_hint(answer))
            if answer.error:
                console.print_error(f"answer {number}: {answer.error}", answer.hint)
        if self._options.stats:
            for number, answer in enumerate(self._answers, 1):
                print_row(str(number), answer)
            all_of_them = self._aggregate()
            counts = [answer.drafting for answer in self._answers if answer.drafting]
            drafts = f" · {drafts_note(counts)}" if counts else ""
            console.print_stderr(
                f"total {units.tokens(all_of_them['n_generated'])} · {units.rate(all_of_them['tps'])}{drafts}"
            )
        if self._interrupted:
            return ExitCode.INTERRUPTED
        return next((answer.exit_code for answer in self._answers if answer.exit_code), ExitCode.OK)

    def _print_complete(self) -> None:
        for answer in self._answers[self._n_printed :]:
            if answer.finish_reason is None:
                return
            self._n_printed += 1
            seed = "" if answer.seed is None else f" · seed {answer.seed}"
            gap = "\n" if self._n_printed > 1 else ""
            console.print_line(f"{gap}[{self._n_printed}/{len(self._answers)}{seed}]")
            TextSink(answer, stream=False, show_thinking=self._options.show_thinking).end(answer)

    def _object(self) -> dict[str, Any]:
        choices = [{"index": index} | _choice(answer) for index, answer in enumerate(self._answers)]
        first = self._answers[0]
        whole: dict[str, Any] = {"choices": choices, "model": first.model, "preset": first.preset}
        failed = next((choice for choice in choices if "error" in choice), None)
        return whole | {"aggregate": self._aggregate()} | ({"error": failed["error"]} if failed else {})

    def _aggregate(self) -> dict[str, Any]:
        """All answers together, from the first token of any to the last token of any, by the engine's clock."""
        begun = [answer for answer in self._answers if answer.timings.ttft_ms]
        n_generated = sum(answer.usage.n_generated for answer in self._answers)
        if not begun:
            return {"n_generated": n_generated, "ms": 0.0, "tps": 0.0}
        first_ms = min(answer.timings.ttft_ms for answer in begun)
        last_ms = max(answer.timings.ttft_ms + answer.timings.decode_ms for answer in begun)
        ms = last_ms - first_ms
        tps = (n_generated - 1) / ms * 1000 if ms > 0 else 0.0
        return {"n_generated": n_generated, "ms": round(ms, 3), "tps": round(tps, 3)}


def _choice(answer: Answer) -> dict[str, Any]:
    report = answer.report() | error_of(answer)
    return {key: value for key, value in report.items() if key not in ("model", "preset")}
