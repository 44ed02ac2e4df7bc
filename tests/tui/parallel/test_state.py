"""Several replies at once: their figures, alone and together."""

from __future__ import annotations

from app.domain.generation import PromptSpans
from app.domain.sampling import Preset
from app.protocol.events import GenerationStarted, TokensGenerated
from app.tui.parallel.state import ParallelReply, together_tps
from tests.fakes.engine_events import make_finished, make_token


def reply(n_tokens: int, ms: float) -> ParallelReply:
    """A reply of so many tokens, each so many milliseconds after the one before."""
    made = ParallelReply(Preset(name="warm"))
    made.fold(GenerationStarted(1, 20, 0, PromptSpans(), 7))
    for index in range(n_tokens):
        made.fold(TokensGenerated(1, f" {index}", (make_token(f" {index}", index, ms=ms),)))
    return made


def test_nothing_is_claimed_before_there_is_a_second_token() -> None:
    assert together_tps([reply(0, 10.0), reply(1, 10.0)]) is None
    assert reply(0, 10.0).figures == "– tok/s · 0"


def test_while_they_run_their_speeds_add_up_and_one_that_ended_has_none() -> None:
    done = reply(3, 10.0)
    done.fold(make_finished(n_generated=3))
    running = [reply(5, 20.0), reply(5, 20.0)]
    assert together_tps([*running, done]) == 100.0
    assert running[0].figures == "50.0 tok/s · 5"
    assert done.figures == "100 tok/s · 3 · end of turn"


def test_in_the_end_it_is_all_tokens_over_the_longest_time() -> None:
    longer, shorter = reply(5, 10.0), reply(2, 10.0)
    longer.fold(make_finished(n_generated=5))
    shorter.fold(make_finished(n_generated=2))
    assert together_tps([longer, shorter]) == (4 + 1) / 40 * 1000


def test_text_waits_until_it_is_taken() -> None:
    made = reply(2, 10.0)
    assert made.take() == " 0 1"
    assert made.take() == ""
    assert made.title == "warm · seed 7"
