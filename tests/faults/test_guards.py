"""With any guard switched off a test turns red; that each guard's line is still there is known at once."""

from pathlib import Path

import pytest

from tests.faults.guards import GUARDS, table, try_all

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_a_guard_is_where_the_list_says(guard):
    assert guard.line in (ROOT / guard.file).read_text(encoding="utf-8")
    for test in guard.tests:
        file, _, name = test.partition("::")
        assert f"def {name}" in (ROOT / file).read_text(encoding="utf-8") if name else (ROOT / file).exists()


@pytest.mark.faults
@pytest.mark.timeout(7200)
def test_every_guard_is_missed():
    verdicts = try_all(GUARDS)
    print(table(verdicts))
    assert [verdict.guard.name for verdict in verdicts if not verdict.is_red] == []
