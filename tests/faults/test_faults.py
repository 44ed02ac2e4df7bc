"""Every fault once, in the suite; all of them as often as they say, with `-m faults`."""

import pytest

from tests.faults.fault import NOTHING, Fault, Outcome, attempt
from tests.faults.table import FAULTS, table, try_all


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_a_fault_is_survived(fault):
    assert (await attempt(fault, 1)).failures == []


@pytest.mark.faults
@pytest.mark.timeout(3600)
async def test_all_faults_are_survived_every_time():
    outcomes = await try_all(FAULTS, None)
    print(table(outcomes))
    assert [failure for outcome in outcomes for failure in outcome.failures] == []


async def test_the_table_says_what_the_tries_have_shown():
    async def attempt_(folder, draw):
        assert folder.is_dir()
        if draw.random() < 0.5:
            raise AssertionError("it hung")
        return draw.choice(("", "the rest"))

    fault = Fault("a fault", attempt_)
    outcome = await attempt(fault, 20)
    assert outcome.n_tried == 20
    assert 0 < outcome.n_survived < 20
    assert len(outcome.failures) == 20 - outcome.n_survived
    assert set(outcome.lost) == {NOTHING, "the rest"}
    assert outcome.row == f"| a fault | 20 | {outcome.n_survived} | the rest |"
    assert Outcome(fault).row == "| a fault | 0 | 0 | ? |"
    assert (await attempt(fault, 20)).row == outcome.row
