"""What counts as progress: a step, CPU time, something read. Nothing of these is stillness."""

import pytest

from app.engine.process.vitals import Vitals


class World:
    def __init__(self):
        self.now_s, self.cpu_s, self.n_read = 100.0, 0.0, 0
        self.vitals = Vitals(lambda: self.now_s, lambda: (self.cpu_s, self.n_read))

    def still_after(self, seconds: float, cpu_s: float = 0.0, n_read: int = 0) -> float:
        self.now_s += seconds
        self.cpu_s += cpu_s
        self.n_read += n_read
        return self.vitals.still_s()


def test_without_progress_stillness_grows():
    world = World()
    world.vitals.step()
    assert world.still_after(1.0) == 0.0
    assert world.still_after(5.0) == 5.0
    assert world.still_after(5.0, cpu_s=0.1) == 10.0


def test_a_step_ends_it():
    world = World()
    world.vitals.step()
    world.still_after(1.0)
    world.still_after(20.0)
    world.vitals.step()
    assert world.still_after(1.0) == 0.0


@pytest.mark.parametrize("work", [{"cpu_s": 1.0}, {"n_read": 1}])
def test_work_inside_a_step_is_progress(work):
    world = World()
    world.vitals.step()
    for _ in range(100):
        assert world.still_after(10.0, **work) == 0.0


def test_a_worker_that_waits_for_commands_is_not_still():
    world = World()
    world.vitals.step()
    world.vitals.rest()
    assert world.still_after(100.0) == 0.0


def test_the_real_figures_are_those_of_this_process():
    vitals = Vitals()
    vitals.step()
    assert vitals.still_s() == 0.0
