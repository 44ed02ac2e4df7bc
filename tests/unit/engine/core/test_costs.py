import pytest

from app.engine.core.costs import CostCurve


def curve(slope: float, sizes: tuple[int, ...] = (1, 4, 16)) -> CostCurve:
    costs = CostCurve()
    for n in sizes:
        costs.measured(n, 10 * (1 + slope * (n - 1)))
    return costs


def test_what_was_measured_is_reported_and_what_lies_between_is_on_a_line() -> None:
    costs = curve(0.2, (1, 4, 16))
    assert [costs.relative(n) for n in (1, 4, 10, 16)] == pytest.approx([1.0, 1.6, 2.8, 4.0], abs=0.02)


def test_a_machine_that_gets_slower_changes_no_ratio() -> None:
    costs = curve(0.2)
    for _ in range(60):
        costs.measured(1, 20)
        costs.measured(4, 32)
    assert costs.single_ms == pytest.approx(20, rel=0.01)
    assert costs.relative(4) == pytest.approx(1.6, rel=0.01)


def test_one_step_that_another_program_held_up_is_no_cost() -> None:
    costs = curve(0.2)
    costs.measured(1, 1000)
    assert costs.single_ms < 11


def test_a_size_that_was_measured_in_a_bad_moment_is_not_bad_for_ever() -> None:
    costs = curve(0.2, (1, 4))
    costs.prefilled(512, 10 + 511 * 2 / 1.5)
    costs.measured(16, 160)
    assert costs.relative(16) > 15
    for _ in range(1000):
        costs.measured(4, 16)
    assert costs.relative(16) == pytest.approx(4.0, rel=0.05)
