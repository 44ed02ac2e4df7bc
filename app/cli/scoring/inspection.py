"""Does what `tok inspect` asks for. Tokens are told as they are scored; what came before Ctrl-C or a loss is kept."""

from __future__ import annotations

import math
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

from app.cli import console
from app.cli.asking.interrupt import Interrupt
from app.cli.exit_codes import ExitCode, exit_code_of
from app.cli.launch import EngineLauncher
from app.cli.scoring.engine import ask_engine, find_model, lost
from app.cli.scoring.given import given_text
from app.cli.scoring.paint import wants_paint
from app.cli.scoring.told import N_TOP, JsonText, PaintedText, Rows, Teller
from app.client.engine import Engine
from app.domain.errors import GenerationError, TokscopeError
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
    def teller(self) -> Teller:
        """Who prints what is found."""
        if self.as_json:
            return JsonText(self.top)
        return PaintedText(self.top, self.rows) if wants_paint() else Rows(self.top)


@dataclass
class Inspection:
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
    text = given_text(options.text, options.file, 'tok inspect "To be, or not to be"')
    sizes = {"n_ctx": options.n_ctx} if options.n_ctx else {}
    model = find_model(options.model, **sizes)
    found = Inspection(model.name)
    teller = options.teller

    async def ask(engine: Engine, interrupt: Interrupt) -> bool:
        ready = engine.model
        found.n_ctx = options.n_ctx or (ready.n_ctx if ready else 0)
        n_top = N_TOP if options.top is None else options.top
        command = Score(engine.next_request_id(), text, max(n_top, 1), found.n_ctx)
        interrupt.stop = lambda: engine.abort(command.request_id)
        async with aclosing(engine.score(command)) as events:
            async for event in events:
                match event:
                    case Scored():
                        found.tokens += event.tokens
                        teller.take(event.tokens)
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
    teller.end(found)
    if found.error:
        console.print_error(str(found.error), found.error.hint)
        return exit_code_of(found.error)
    return ExitCode.INTERRUPTED if interrupted else ExitCode.OK
