"""Does what `tok tokenize` asks for."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path

from app.cli.common import console
from app.cli.common.engine import ask_engine, find_model, lost
from app.cli.common.exit_codes import ExitCode
from app.cli.common.inputs import read_input_text
from app.cli.common.interrupt import Interrupt
from app.cli.common.launching import EngineLauncher
from app.cli.score.table import CONTROL, QUIET, PaintStyle, painted, wants_paint
from app.client.engine import Engine, Queryable, require
from app.domain.errors import GenerationError
from app.domain.trace import PromptToken
from app.protocol.commands import Tokenize
from app.protocol.events import EngineLost

_SMALL_WINDOW = 512
"""Nothing is computed in it."""
_LOOKS = (PaintStyle("", "36"), PaintStyle("", "33"))


def run_tokenize(
    text: str | None, file: Path | None, model: str | None, launcher: EngineLauncher, *, special: bool, as_json: bool
) -> int:
    """Prints the tokens and returns the exit code. Raises TokscopeError."""
    given = read_input_text(text, file, 'tok tokenize "Where does a token end?"')
    located = find_model(model, n_ctx=_SMALL_WINDOW, n_gpu_layers=0)

    async def ask(engine: Engine, _: Interrupt) -> tuple[PromptToken, ...]:
        answer = await require(engine, Queryable, "split text into tokens").tokenize(
            Tokenize(engine.next_request_id(), given, parse_special=special)
        )
        if isinstance(answer, EngineLost):
            raise lost(answer)
        if answer.error:
            raise GenerationError(answer.error)
        return answer.tokens

    tokens = ask_engine(launcher, located, ask)
    ends = list(accumulate(token.n_bytes for token in tokens))
    rows = [(token, end - token.n_bytes, end) for token, end in zip(tokens, ends, strict=True)]
    if as_json:
        console.print_json([{"id": t.id, "text": t.text, "start": start, "end": end} for t, start, end in rows])
    elif wants_paint():
        _show(tokens)
    else:
        lines = (f"{t.id}\t{start}\t{end}\t{console.json_of(t.text)}\n" for t, start, end in rows)
        console.write_out("id\tstart\tend\ttext\n" + "".join(lines))
    return ExitCode.OK


def _show(tokens: tuple[PromptToken, ...]) -> None:
    """The text with a bar between its tokens; control tokens in reverse."""
    bar = painted("│", QUIET)
    shown = [painted(t.text, CONTROL if t.is_control else _LOOKS[n % len(_LOOKS)]) for n, t in enumerate(tokens)]
    n_bytes = sum(token.n_bytes for token in tokens)
    console.write_out(f"{bar.join(shown)}\n\n")
    console.print_line(f"{len(tokens):,} token{'' if len(tokens) == 1 else 's'} · {n_bytes:,} bytes")
