"""Does what `tok next` asks for: a prediction as one JSON object, as lines, or as a table with bars."""

from __future__ import annotations

import shutil
import textwrap
from typing import Any

from app.cli.common import console
from app.cli.common.engine import ask_engine, for_one, lost
from app.cli.common.exit_codes import ExitCode
from app.cli.common.inputs import gather_prompt, read_input_text
from app.cli.common.interrupt import Interrupt
from app.cli.common.launching import EngineLauncher
from app.cli.common.options import AskOptions
from app.cli.common.setup import look_up
from app.cli.score.table import padded, wants_paint
from app.client.engine import Engine, Queryable, require
from app.domain.conversation import Role
from app.domain.errors import GenerationError
from app.domain.probability import percent
from app.domain.text import quoted
from app.domain.trace import Prediction, StageTrace, TopToken, cuts
from app.protocol.commands import ChatMessage, Predict
from app.protocol.events import EngineLost
from app.tui.widgets.line import bar

_TIED = "\u00a0"
"""A blank that no line is broken at."""
_NARROWEST_BAR, _WIDEST_BAR = 6, 24
_BESIDE_BARS = 58
"""Columns of the table that are no bar."""


def run_next(options: AskOptions, launcher: EngineLauncher, *, raw: bool, k: int, as_json: bool) -> int:
    """Prints the distribution and returns the exit code. Raises TokscopeError."""
    setup = look_up(options)
    text = read_input_text(options.prompt, None, 'tok next --raw "The capital of France is"') if raw else ""
    asked = "" if raw else gather_prompt(options.prompt, (), "next")
    system = (ChatMessage(Role.SYSTEM, setup.preset.system),) if setup.preset.system else ()
    messages = () if raw else (*system, ChatMessage(Role.USER, asked))

    async def ask(engine: Engine, interrupt: Interrupt) -> tuple[int, Prediction]:
        request_id = engine.next_request_id()
        interrupt.stop = lambda: engine.abort(request_id)
        answer = await require(engine, Queryable, "predict the next token").predict(
            Predict(request_id, messages, setup.preset.sampling, k, text)
        )
        if isinstance(answer, EngineLost):
            raise lost(answer)
        if interrupt.requested:
            raise interrupt.ended
        if answer.prediction is None:
            raise GenerationError(answer.error or "the engine made no prediction")
        for notice in answer.notices:
            console.print_stderr(f"tok: {notice}")
        xtc = next((stage for stage in answer.prediction.stages if stage.name == "xtc"), None)
        if xtc is not None:
            console.print_stderr(f"tok: {_outcome_of(xtc, setup.preset.sampling.xtc_probability)}")
        return answer.n_prompt, answer.prediction

    n_prompt, prediction = ask_engine(launcher, for_one(setup.model), ask)
    if as_json:
        console.print_json(prediction_object(n_prompt, prediction))
    elif wants_paint():
        _show(n_prompt, prediction)
    else:
        _print_lines(prediction)
    return ExitCode.OK


def _outcome_of(xtc: StageTrace, chance: float) -> str:
    """What is to know of a chain with a chance in it: the figures are those of one of its two outcomes."""
    n_removed = xtc.n_in - xtc.n_out
    return (
        f"xtc removes the most likely tokens with a probability of {percent(chance)}; here it removes "
        f"{n_removed or 'none'}. Another --seed may give the other outcome; --xtc-probability 0 and 1 show both."
    )


def prediction_object(n_prompt: int, prediction: Prediction) -> dict[str, Any]:
    """The object of `tok next --json`. `before` holds the k best before, and then those of
    the k best after that are not among them; `cut` names those of it that a stage took away, by id."""
    cut_off = cuts(_rows(prediction), prediction.stages)
    ranks = {token.id: rank for token, rank in zip(prediction.raised, prediction.raised_ranks, strict=True)}
    return {
        "prompt": {"n_tokens": n_prompt},
        "before": [
            *_ranked(prediction.before),
            *({"id": t.id, "text": t.text, "p": t.p, "rank": ranks[t.id]} for t in prediction.raised),
        ],
        "after": _ranked(prediction.after),
        "stages": [
            {"name": s.name, "n_in": s.n_in, "n_out": s.n_out, "cut": [top.id for top in cut]}
            for s, cut in zip(prediction.stages, cut_off, strict=True)
        ],
    }


def _ranked(tokens: tuple[TopToken, ...]) -> list[dict[str, Any]]:
    """Equals share a rank."""
    ranks: list[int] = []
    for place, token in enumerate(tokens, 1):
        ranks.append(ranks[-1] if place > 1 and token.p == tokens[place - 2].p else place)
    return [{"id": t.id, "text": t.text, "p": t.p, "rank": rank} for t, rank in zip(tokens, ranks, strict=True)]


def _rows(prediction: Prediction) -> tuple[TopToken, ...]:
    return (*prediction.before, *prediction.raised)


def _places(prediction: Prediction) -> list[int]:
    return [*range(1, len(prediction.before) + 1), *prediction.raised_ranks]


def _cut_by(prediction: Prediction) -> dict[int, StageTrace]:
    stages = zip(prediction.stages, cuts(_rows(prediction), prediction.stages), strict=True)
    return {token.id: stage for stage, cut in stages for token in cut}


def _print_lines(prediction: Prediction) -> None:
    """Tabs between the columns: for `cut`, `awk` and spreadsheets."""
    cut_by, places = _cut_by(prediction), _places(prediction)
    lines = ["rank\tid\tbefore\tafter\tcut_by\ttext\n"]
    for i, top in enumerate(_rows(prediction)):
        stage = cut_by.get(top.id)
        name = stage.name if stage else ""
        text = console.json_of(top.text)
        lines.append(f"{places[i]}\t{top.id}\t{top.p:.6g}\t{prediction.after_of(i):.6g}\t{name}\t{text}\n")
    console.write_out("".join(lines))


def _show(n_prompt: int, prediction: Prediction) -> None:
    free = shutil.get_terminal_size().columns - _BESIDE_BARS
    width = max(_NARROWEST_BAR, min(_WIDEST_BAR, free // 2))
    cut_by, places = _cut_by(prediction), _places(prediction)
    bits, end = prediction.entropy, percent(prediction.p_end)
    console.print_line(f"{n_prompt:,} tokens of prompt · entropy {bits:.2f} bits · end of reply: {end}")
    console.print_line()
    console.print_line(f"{'':>4}  {'token':<26}  {'before':<{width + 11}}  after the chain")
    for i, top in enumerate(_rows(prediction)):
        stage = cut_by.get(top.id)
        rest = f"cut by {stage.name}" if stage else _bar(prediction.after_of(i), width)
        console.print_line(f"{places[i]:>4}  {padded(quoted(top.text), 26)}  {_bar(top.p, width)}  {rest}".rstrip())
    console.print_line()
    columns = shutil.get_terminal_size().columns
    for line in textwrap.wrap(f"chain: {' · '.join(map(_stage, prediction.stages))}", columns, subsequent_indent="  "):
        console.print_line(line.replace(_TIED, " "))


def _bar(p: float, width: int) -> str:
    return f"{percent(p):>9}  {bar(p, width):<{width}}"


def _stage(stage: StageTrace) -> str:
    shown = f"{stage.name} {stage.n_in:,}" + (f" → {stage.n_out:,}" if stage.n_out != stage.n_in else "")
    return shown.replace(" ", _TIED)
