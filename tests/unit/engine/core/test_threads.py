"""The thread governor on simulated machines."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.engine.core.threads import ThreadGovernor


def run(governor: ThreadGovernor, ms: Callable[[int], float], n_steps: int) -> list[int]:
    """The threads of each step on a machine where a step with n threads takes ms(n)."""
    used: list[int] = []
    for _ in range(n_steps):
        used.append(governor.n_threads)
        governor.decoded(ms(governor.n_threads))
    return used


def quiet(n_threads: int) -> float:
    return 14.0 / n_threads


def busy(n_threads: int) -> float:
    return 900.0 if n_threads == 2 else 15.0


def test_a_quiet_machine_keeps_all_threads() -> None:
    assert set(run(ThreadGovernor(2), quiet, 1000)) == {2}


def test_one_slow_step_changes_nothing() -> None:
    governor = ThreadGovernor(2)
    run(governor, quiet, 20)
    governor.decoded(400.0)
    assert set(run(governor, quiet, 500)) == {2}


def test_a_busy_machine_gets_fewer_threads_within_ten_steps() -> None:
    governor = ThreadGovernor(2)
    run(governor, quiet, 50)
    used = run(governor, busy, 300)
    assert used[:3] == [2, 2, 2]
    assert used[12:50] == [1] * 38
    assert used[50:].count(2) <= 3


def test_all_threads_come_back_when_the_machine_is_free_again() -> None:
    governor = ThreadGovernor(2)
    run(governor, quiet, 50)
    run(governor, busy, 100)
    used = run(governor, quiet, 800)
    assert used[-100:] == [2] * 100


def test_a_machine_that_was_busy_from_the_start_is_known_by_its_prefill() -> None:
    governor = ThreadGovernor(2)
    governor.prefilled(800.0)
    assert run(governor, busy, 300).count(2) <= 12


@pytest.mark.parametrize(("n", "levels"), [(1, {1}), (8, {8, 7, 4, 1})])
def test_levels(n: int, levels: set[int]) -> None:
    def worse_with_more(n_threads: int) -> float:
        return 10.0 * 4**n_threads

    governor = ThreadGovernor(n)
    governor.prefilled(1.0)
    assert set(run(governor, worse_with_more, 2000)) == levels
