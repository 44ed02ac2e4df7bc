"""Three crashes in five minutes are too many."""

from app.client.liveness import WINDOW_S, CrashLog


def test_the_third_crash_within_the_window_is_too_many():
    now = 1000.0
    log = CrashLog(lambda: now)
    for _ in range(2):
        log.record()
    assert not log.too_many
    now += WINDOW_S - 1
    log.record()
    assert log.too_many
    now += 1
    assert not log.too_many


def test_only_the_last_three_count():
    now = 0.0
    log = CrashLog(lambda: now)
    log.record()
    log.record()
    now = 310.0
    log.record()
    assert not log.too_many
    now = 400.0
    log.record()
    assert not log.too_many
    now = 401.0
    log.record()
    assert log.too_many


def test_clear_forgets():
    log = CrashLog(lambda: 0.0)
    for _ in range(3):
        log.record()
    log.clear()
    assert not log.too_many
