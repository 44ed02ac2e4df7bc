"""Ways to print an answer: text as it comes, one JSON object, one JSON event a line; and `--stats`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from app.analysis.drafting import Drafting
from app.analysis.finish import finish_word
from app.cli.ask.answer import Answer, token_object
from app.cli.common import console
from app.cli.common.options import AskOptions, Format
from app.domain import units
from app.domain.generation import DraftCounts, FinishReason, Timings
from app.domain.text import safe_text
from app.protocol.events import (
    ContextShifted,
    ContextTrimmed,
    GenerationStarted,
    PrefillProgress,
    SlotsHeld,
    TokensGenerated,
)


class Sink(Protocol):
    """Told of every event as it happens, and of the end."""

    def take(self, event: object) -> None:
        """Shows what there is to show of one event."""
        ...

    def end(self, answer: Answer) -> None:
        """Shows the rest; `answer` is complete."""
        ...


class TextSink:
    """The answer on standard output, flushed with every event; anything else goes to standard error.

    It ends with one newline, whatever the model wrote, so line ends wait for the text behind them. A reply without
    text prints nothing.
    """

    def __init__(self, answer: Answer, *, stream: bool, show_thinking: bool) -> None:
        """`show_thinking`: prints the whole reply, with the marks of its thinking."""
        self._answer = answer
        self._stream = stream
        self._show_thinking = show_thinking
        self._safe = console.stdout_is_terminal()
        self._line_ends: str = ""
        self._is_empty = True

    def take(self, event: object) -> None:
        """Writes new text, unless the whole is wanted at the end."""
        if self._stream and isinstance(event, TokensGenerated):
            self._write(event.text if self._show_thinking else self._answer.new_text)

    def end(self, answer: Answer) -> None:
        """Ends the last line, and says on standard error why a reply is not whole."""
        if not self._stream:
            self._write(answer.reply if self._show_thinking else answer.text)
        if not self._is_empty:
            console.write_out("\n")
        if answer.finish_reason is FinishReason.CONTEXT and not answer.error:
            console.print_error(
                "the context window is full: the answer ends here", "shorten the input to leave more room"
            )

    def _write(self, text: str) -> None:
        text = self._line_ends + text
        body = text.rstrip("\r\n")
        self._line_ends = text[len(body) :]
        if body:
            console.write_out(safe_text(body) if self._safe else body)
            self._is_empty = False


class JsonSink:
    """One object at the end, after errors too."""

    def take(self, event: object) -> None:
        """Waits."""

    def end(self, answer: Answer) -> None:
        """Prints the report."""
        console.print_json(answer.report() | error_of(answer))


class NoSink:
    """Prints nothing."""

    def take(self, event: object) -> None:
        """Passes."""

    def end(self, answer: Answer) -> None:
        """Passes."""


class JsonlSink:
    """One object a line: `waiting`, `started`, `prefill`, `reasoning`, `text`, `token` (--logprobs), `finished`.

    `finished` carries the object of `--json` without `tokens`; the texts of the `text` events sum to its `text`, those
    of the `reasoning` events to its `reasoning`.
    """

    def __init__(self, answer: Answer, *, tokens: bool, index: int | None = None) -> None:
        """`index` identifies an answer among several."""
        self._answer = answer
        self._tokens = tokens
        self._index = {} if index is None else {"index": index}

    def take(self, event: object) -> None:
        """Prints the event at once."""
        match event:
            case GenerationStarted():
                self._print(
                    "started",
                    model=self._answer.model,
                    preset=self._answer.preset,
                    seed=event.seed,
                    n_prompt=event.n_prompt,
                    n_cached=event.n_cached,
                )
            case SlotsHeld():
                self._print("waiting", held_by=list(event.held_by))
            case ContextTrimmed():
                self._print("trimmed", n_messages=event.n_messages, n_tokens=event.n_tokens)
            case ContextShifted():
                self._print("shifted", n_kept=event.n_kept, n_discarded=event.n_discarded)
            case PrefillProgress():
                self._print("prefill", n_done=event.n_done, n_total=event.n_total, ms=round(event.ms, 3))
            case TokensGenerated():
                if self._answer.new_reasoning:
                    self._print("reasoning", text=self._answer.new_reasoning)
                if self._answer.new_text:
                    self._print("text", text=self._answer.new_text)
                for token in event.tokens if self._tokens else ():
                    self._print("token", **token_object(token))
            case _:
                pass

    def end(self, answer: Answer) -> None:
        """Prints the report as the last event."""
        report = answer.report()
        report.pop("tokens", None)
        self._print("finished", **(report | error_of(answer)))

    def _print(self, name: str, **keys: object) -> None:
        console.print_json({"event": name, **self._index, **keys})


def slots_held(event: SlotsHeld) -> tuple[str, str]:
    """Returns what a request waits for, and what to do."""
    n = len(event.held_by)
    held = "a paused request holds the only slot" if n == 1 else f"{n} paused requests hold all slots"
    return f"waiting: {held}", "resume or stop one of them, or press Ctrl+C to give up"


def cut_off_hint(answer: Answer) -> str:
    """Returns what to do about an answer that ended inside its grammar."""
    return "raise --max-tokens" if answer.finish_reason is FinishReason.LENGTH else ""


def sink_for(options: AskOptions, answer: Answer) -> Sink:
    """Returns the sink that the options ask for."""
    match options.format:
        case Format.TEXT:
            return TextSink(answer, stream=options.stream, show_thinking=options.show_thinking)
        case Format.JSON:
            return JsonSink()
        case Format.NOTHING:
            return NoSink()
        case Format.JSONL:
            return JsonlSink(answer, tokens=options.logprobs is not None)


def error_of(answer: Answer) -> dict[str, Any]:
    """Returns the `error` of a report; nothing where there was none."""
    return console.error_object(answer.error, answer.hint, answer.exit_code) if answer.error else {}


def print_stats(answer: Answer) -> None:
    """Tells what was prefilled, what came out of the cache, how fast it went and why it stopped."""
    usage, timings = answer.usage, answer.timings
    prefill = f"{usage.n_prompt - usage.n_cached} new + {usage.n_cached} cached tokens"
    spread = f"p50 {_ms(timings, 'p50_ms')} p95 {_ms(timings, 'p95_ms')}"
    stop = f" {answer.stop.text!r}" if answer.stop else ""
    rows: dict[str, tuple[str, ...]] = {
        "model": (
            answer.model,
            f"preset {answer.preset}",
            f"seed {answer.seed}",
            f"loaded in {units.ms(answer.load_ms)}",
        ),
        "prefill": (prefill, _ms(timings, "prefill_ms"), units.rate(timings.prefill_tps)),
        "decode": (
            units.tokens(usage.n_generated),
            _ms(timings, "decode_ms"),
            units.rate(timings.decode_tps),
            spread,
        ),
        "first": (f"token after {_ms(timings, 'ttft_ms')}",),
        "stopped": (f"{_end(answer)}{stop}",),
    }
    if answer.thinking:
        rows["thinking"] = (units.tokens(answer.thinking.n_tokens), units.ms(answer.thinking.ms))
    if answer.drafting:
        rows["drafts"] = _drafts(answer.drafted)
    for name, cells in rows.items():
        console.print_stderr(f"{name:<8} {' · '.join(cells)}")


def _ms(timings: Timings, name: str) -> str:
    """One of the times, with the mark of the app's clock; 0 is not known if a server gave the others."""
    value: float = getattr(timings, name)
    known = None if timings.app_clock and not value else value
    return units.marked(units.ms(known), name in timings.app_clock)


def print_row(name: str, answer: Answer) -> None:
    """Tells the figures of one of several answers on one line."""
    usage, timings = answer.usage, answer.timings
    cells = (
        f"seed {answer.seed}",
        f"{usage.n_prompt - usage.n_cached} new + {usage.n_cached} cached tokens",
        units.tokens(usage.n_generated),
        units.rate(timings.decode_tps),
        f"first after {_ms(timings, 'ttft_ms')}",
        _end(answer),
    )
    drafts = (drafts_note([answer.drafting]),) if answer.drafting else ()
    console.print_stderr(f"{name:<8} {' · '.join((*cells, *drafts))}")


def drafts_note(counts: Iterable[DraftCounts]) -> str:
    """How many of the drafted tokens were accepted, in a few words."""
    reported = list(counts)
    n_drafted, n_accepted = sum(one.n_drafted for one in reported), sum(one.n_accepted for one in reported)
    return f"{n_accepted} of {n_drafted} drafts accepted" if n_drafted else "nothing drafted"


def _drafts(drafted: Drafting) -> tuple[str, ...]:
    counts = drafted.counts
    if not counts.n_steps:
        return ("none: no draft was expected to pay",)
    places = ", ".join(map(units.percent, drafted.acceptance))
    accepted = f"{counts.n_accepted} of {counts.n_drafted} tokens accepted"
    steps = f"{counts.n_steps} step{'' if counts.n_steps == 1 else 's'}"
    return (accepted, steps, f"{drafted.mean_accepted:.1f} per step", f"by position {places}", drafted.gain_words)


def _end(answer: Answer) -> str:
    return finish_word(answer.finish_reason, answer.stop) if answer.finish_reason else "unknown"
