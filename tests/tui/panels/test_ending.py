"""How near a reply was to its end."""

import msgspec
import pytest

from app.analysis.ending import N_MOMENTS, N_RECENT, Ending, Moment
from app.domain.probability import percent
from app.tui.panels.ending import height_of
from tests.fakes.engine_events import make_token


def fold(*chances):
    ending = Ending()
    for at, p in enumerate(chances, 1):
        ending.token(msgspec.structs.replace(make_token(f" t{at}"), p_end=p))
    return ending


def test_an_engine_that_does_not_show_is_not_believed():
    ending = fold(0.0, 0.0)
    assert (ending.known, ending.now, ending.survival) == (False, None, None)


def test_the_last_tokens_and_the_chance_of_coming_this_far():
    ending = fold(0.5, 0.25, 0.0)
    assert (list(ending.recent), ending.now) == ([0.5, 0.25, 0.0], 0.0)
    assert ending.survival == pytest.approx(0.375)


def test_the_token_that_is_the_end_was_not_passed_over():
    ending = fold(0.5, 0.75)
    ending.finished(by_token=True)
    assert ending.survival == pytest.approx(0.5)
    assert ending.moments == [Moment(0.5, 1, " t1")]
    ending = fold(0.5, 0.75)
    ending.finished(by_token=False)
    assert ending.survival == pytest.approx(0.125)
    assert ending.moments == [Moment(0.75, 2, " t2"), Moment(0.5, 1, " t1")]


def test_a_certain_end_that_did_not_come_leaves_no_chance():
    assert fold(1.0).survival == 0.0


def test_the_likeliest_ends_stay_and_the_rest_goes():
    ending = fold(*(at / 1000 for at in range(1, 400)))
    assert len(ending.recent) == N_RECENT
    assert [moment.at for moment in ending.moments[:3]] == [399, 398, 397]
    ending.finished(by_token=True)
    assert [moment.at for moment in ending.moments] == list(range(398, 398 - N_MOMENTS, -1))


@pytest.mark.parametrize(
    ("p", "shown", "height"),
    [
        (1.0, "100 %", 1.0),
        (0.25, "25 %", pytest.approx(0.8997, abs=1e-4)),
        (0.001, "0.1 %", 0.5),
        (0.0003, "0.03 %", pytest.approx(0.4128, abs=1e-4)),
        (1e-12, "<0.001 %", 0.0),
        (0.0, "0 %", 0.0),
    ],
)
def test_small_chances_are_written_and_drawn_by_their_decade(p, shown, height):
    assert (percent(p), height_of(p)) == (shown, height)
