"""What may be asked of a worker, what ends the answer, and how much an answer can be. Pure."""

from __future__ import annotations

from app.protocol.commands import Bench, Generate, Predict, Score, Tokenize
from app.protocol.events import BenchFinished, GenerationFinished, Predicted, ScoreFinished, Tokenized

Request = Generate | Bench | Tokenize | Predict | Score
"""A command with a stream of events of its own, answered under its request_id."""

RequestEnd = GenerationFinished | BenchFinished | Tokenized | Predicted | ScoreFinished
"""The last event of a request that its worker lived to answer."""

SPARE = 10_000
"""Events that a request, a load, or requests that are over may bring beyond what can be expected of them."""


def most_for(command: Request, n_ctx: int) -> float:
    """The most that a worker can send for a request, as `mailbox.weight` counts; more is a flood.

    A reply has no more tokens than the window of `n_ctx` tokens, unless it is shifted; a text no more than bytes.
    """
    match command:
        case Generate():
            return float("inf") if command.context_policy == "shift" else 3 * n_ctx + SPARE
        case Score():
            return 2 * len(command.text.encode(errors="replace")) + SPARE
        case Bench():
            return command.n_reps + SPARE
        case _:
            return SPARE
