"""Silence is counted tick by tick; only what is owed and does not come is a stall."""

from app.client.engine import Stall
from app.client.liveness import TICK_S, Liveness


def started() -> Liveness:
    liveness = Liveness(start_s=12.0, silent_s=4.0, still_s=30.0)
    liveness.heard()
    return liveness


def tick(liveness: Liveness, seconds: float) -> list[bool]:
    return [liveness.tick(TICK_S) for _ in range(round(seconds / TICK_S))]


def test_silence_is_a_stall_after_its_limit_and_ends_with_the_first_word():
    liveness = started()
    tick(liveness, 3.5)
    assert liveness.stall is None
    tick(liveness, 0.5)
    assert liveness.stall == Stall(4.0, answers=False)
    tick(liveness, 2.0)
    assert liveness.stall == Stall(6.0, answers=False)
    liveness.heard()
    assert liveness.stall is None


def test_a_start_has_a_limit_of_its_own_and_is_not_asked():
    liveness = Liveness(start_s=12.0, silent_s=4.0, still_s=30.0)
    assert not any(tick(liveness, 11.5))
    assert liveness.stall is None
    tick(liveness, 0.5)
    assert liveness.stall == Stall(12.0, answers=False)


def test_a_silent_worker_is_asked_once_after_a_second():
    liveness = started()
    assert tick(liveness, 3.0) == [False, True, False, False, False, False]
    liveness.heard()
    liveness.answered(0.0)
    assert tick(liveness, 1.5) == [False, True, False]


def test_a_suspended_machine_adds_one_tick():
    liveness = started()
    liveness.tick(3600.0)
    assert liveness.stall is None
    tick(liveness, 3.0)
    assert liveness.stall is None
    tick(liveness, 0.5)
    assert liveness.stall


def test_what_answers_is_a_stall_only_after_long_without_progress():
    liveness = started()
    for still_s in (5.0, 29.5):
        liveness.heard()
        liveness.answered(still_s)
        assert liveness.stall is None
    liveness.heard()
    liveness.answered(30.0)
    liveness.tick(TICK_S)
    assert liveness.stall == Stall(30.5, answers=True)
    liveness.heard()  # a token
    assert liveness.stall is None


def test_rest_forgets_silence():
    liveness = started()
    tick(liveness, 5.0)
    liveness.rest()
    assert liveness.stall is None
    tick(liveness, 3.5)
    assert liveness.stall is None
