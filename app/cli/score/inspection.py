"""Does what `tok inspect` asks for, and prints it: one JSON object, lines with tabs, or the text itself, painted."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from app.cli.ask.answer import finite
from app.cli.common import console
from app.cli.common.engine import ask_engine, find_model, lost
from app.cli.common.exit_codes import ExitCode, exit_code_of
from app.cli.common.inputs import read_input_text
from app.cli.common.interrupt import Interrupt
from app.cli.common.launching import EngineLauncher
from app.cli.score.table import PLAIN, PaintStyle, painted, token_table, wants_paint
from app.client.engine import Engine, Queryable, require
from app.domain.errors import GenerationError, TokscopeError
from app.domain.probability import step
from app.domain.trace import TokenTrace
from app.protocol.commands import Score
from app.protocol.events import EngineLost, Scored, ScoreFinished


@dataclass(frozen=True)
class InspectOptions:
    """One call of `tok inspect`."""

    text: str | None
    file: Path | None
    model: str | None
    top: int | None
    """Alternatives of each token; None where they were not asked for."""
    rows: bool | None
    """Whether a terminal shows a row for each token; None is for each of a few."""
    n_ctx: int
    """0 is the whole window."""
    as_json: bool

    @property
    def report(self) -> ScoreReport:
        """Who prints what is found."""
        if self.as_json:
            return JsonText(self.top)
        return PaintedText(self.top, self.rows) if wants_paint() else TsvReport(self.top)


@dataclass
class InspectRun:
    """What is known of a text so far."""

    model: str
    n_ctx: int = 0
    tokens: list[TokenTrace] = field(default_factory=list[TokenTrace])
    n_scored: int = 0
    nll: float = 0.0
    complete: bool = False
    error: TokscopeError | None = None

    @property
    def perplexity(self) -> float | None:
        """None where no token counts, or one that counts cannot be."""
        if not self.n_scored or not math.isfinite(self.nll):
            return None
        return math.exp(self.nll / self.n_scored)


def run_inspect(options: InspectOptions, launcher: EngineLauncher) -> int:
    """Prints the figures and returns the exit code. Raises TokscopeError for what goes wrong before the first."""
    text = read_input_text(options.text, options.file, 'tok inspect "To be, or not to be"')
    sizes = {"n_ctx": options.n_ctx} if options.n_ctx else {}
    model = find_model(options.model, **sizes)
    found = InspectRun(model.name)
    report = options.report

    async def ask(engine: Engine, interrupt: Interrupt) -> bool:
        ready = engine.model
        found.n_ctx = options.n_ctx or (ready.n_ctx if ready else 0)
        n_top = N_TOP if options.top is None else options.top
        command = Score(engine.next_request_id(), text, max(n_top, 1), found.n_ctx)
        interrupt.stop = lambda: engine.abort(command.request_id)
        async with aclosing(require(engine, Queryable, "score text").score(command)) as events:
            async for event in events:
                match event:
                    case Scored():
                        found.tokens += event.tokens
                        report.take(event.tokens)
                    case ScoreFinished():
                        found.n_scored, found.nll = event.n_scored, event.nll
                        found.complete = not event.error
                        if event.error and not interrupt.requested:
                            found.error = GenerationError(event.error)
                    case EngineLost():
                        found.error = lost(event)
        return interrupt.requested

    interrupted = ask_engine(launcher, model, ask)
    if found.error and not found.tokens:
        raise found.error
    report.end(found)
    if found.error:
        console.print_error(str(found.error), found.error.hint)
        return exit_code_of(found.error)
    return ExitCode.INTERRUPTED if interrupted else ExitCode.OK


_LOOKS = (PLAIN, PaintStyle("4", "36"), PaintStyle("1", "33"), PaintStyle("1;4", "35"), PaintStyle("7", "31"))
"""How a token looks at each step of the scale of probability."""
_STEP_WORDS = ("50 % and more", "10 to 50 %", "1 to 10 %", "0.1 to 1 %", "less than 0.1 %")
_N_WORST = 8
_FEW = 40
"""Up to so many tokens each has a row of its own in a terminal."""
N_TOP = 5
"""Alternatives of each token in the JSON."""


class ScoreReport(Protocol):
    """Told of tokens as they are scored, and of the end."""

    def take(self, tokens: Sequence[TokenTrace]) -> None:
        """The next ones."""
        ...

    def end(self, found: InspectRun) -> None:
        """There are no more."""
        ...


class JsonText:
    """One object at the end, with `n_top` alternatives of each token."""

    def __init__(self, n_top: int | None = None) -> None:
        self._n_top = N_TOP if n_top is None else n_top

    def take(self, tokens: Sequence[TokenTrace]) -> None:
        """Waits."""

    def end(self, found: InspectRun) -> None:
        """Prints the object; `error` is there only where something went wrong."""
        report: dict[str, Any] = {
            "model": found.model,
            "n_ctx": found.n_ctx,
            "n_tokens": len(found.tokens),
            "n_scored": found.n_scored,
            "nll": finite(found.nll),
            "perplexity": found.perplexity,
            "complete": found.complete,
            "tokens": [_entry(token, start, self._n_top) for token, start in _placed(found.tokens)],
        }
        if found.error:
            report |= console.error_object(str(found.error), found.error.hint, exit_code_of(found.error))
        console.print_json(report)


class TsvReport:
    """A line a token, as it is scored, with tabs between the columns; the sum goes to standard error.

    Alternatives stand in a last column, as in the JSON, where `n_top` is given.
    """

    def __init__(self, n_top: int | None = None) -> None:
        self._n_top = n_top
        self._at = 0
        top = "" if n_top is None else "\ttop"
        self._lines = [f"start\tend\tid\tp\tlogprob\trank\tentropy\ttext{top}\n"]

    def take(self, tokens: Sequence[TokenTrace]) -> None:
        """Prints lines."""
        lines, self._lines = self._lines, []
        for token in tokens:
            start, self._at = self._at, self._at + token.n_bytes
            figures = f"{token.p:.6g}\t{token.logprob:.6g}\t{token.rank}\t{token.entropy:.4f}"
            text = console.json_of(token.text)
            top = "" if self._n_top is None else f"\t{console.json_of(_top(token, self._n_top))}"
            lines.append(f"{start}\t{self._at}\t{token.id}\t{figures}\t{text}{top}\n")
        console.write_out("".join(lines))

    def end(self, found: InspectRun) -> None:
        """Tells the perplexity."""
        console.print_stderr(f"tok: {_summary(found)}")


class PaintedText:
    """The text as it is scored, each token in the look of its probability; then what the looks mean, and figures."""

    def __init__(self, n_top: int | None = None, rows: bool | None = None) -> None:
        """`rows`: whether each token has one; None is each where they are few, or where alternatives are wanted."""
        self._n_top = 1 if n_top is None else n_top
        self._rows = True if rows is None and n_top is not None else rows

    def take(self, tokens: Sequence[TokenTrace]) -> None:
        """Shows tokens."""
        console.write_out("".join(painted(token.text, _look(token.p)) for token in tokens))

    def end(self, found: InspectRun) -> None:
        """Prints a legend, the figures of every token or of the least likely ones, and the perplexity."""
        legend = " · ".join(painted(words, look) for words, look in zip(_STEP_WORDS, _LOOKS, strict=True))
        console.write_out(f"\n\n{legend}\n\n")
        tokens, title, which = found.tokens, "token", ""
        if not (len(tokens) <= _FEW if self._rows is None else self._rows):
            tokens = sorted((t for t in tokens if t.top and t.rank > 1), key=lambda token: token.p)[:_N_WORST]
            title, which = "least expected", f"  {len(tokens)} of {len(found.tokens):,} tokens; --tokens shows all"
        rows = [(token, _look(token.p)) for token in tokens]
        lines = token_table(title, rows, self._n_top, shutil.get_terminal_size().columns, which=which)
        console.write_out("".join(f"{line}\n" for line in lines))
        console.print_line(_summary(found))


def _summary(found: InspectRun) -> str:
    n, counted = len(found.tokens), found.n_scored
    tokens, cut = f"{n:,} token{'' if n == 1 else 's'}", "" if found.complete else ", not the whole text"
    if not counted:
        return f"{tokens}{cut}; none counts for a perplexity"
    if found.perplexity is None:
        return f"no perplexity over {counted:,} scored of {tokens}: one of them has probability 0{cut}"
    which = "all but the first" if counted >= n - 1 else f"the second halves of full windows of {found.n_ctx:,}"
    return f"perplexity {found.perplexity:.4f} over {counted:,} scored of {tokens} ({which}){cut}"


def _look(p: float) -> PaintStyle:
    return _LOOKS[step(p)]


def _placed(tokens: Sequence[TokenTrace]) -> list[tuple[TokenTrace, int]]:
    placed: list[tuple[TokenTrace, int]] = []
    at = 0
    for token in tokens:
        placed.append((token, at))
        at += token.n_bytes
    return placed


def _entry(token: TokenTrace, start: int, n_top: int) -> dict[str, Any]:
    return {
        "id": token.id,
        "text": token.text,
        "start": start,
        "end": start + token.n_bytes,
        "p": finite(token.p),
        "logprob": finite(token.logprob),
        "rank": token.rank,
        "entropy": finite(token.entropy),
        "top": _top(token, n_top),
    }


def _top(token: TokenTrace, n: int) -> list[dict[str, Any]]:
    return [{"id": top.id, "text": top.text, "p": finite(top.p)} for top in token.top[:n]]
