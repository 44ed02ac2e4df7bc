"""Which backend has which capability, and what a caller gets of one that has none."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.client.engine import (
    Benchable,
    Engine,
    Forgetful,
    Queryable,
    Restartable,
    Stall,
    Steerable,
    forget,
    is_crash_looping,
    require,
    stall_of,
)
from app.client.worker_client import WorkerClient
from app.domain.errors import UsageError
from tests.fakes.scripted_core import ScriptedCore
from tests.fakes.scripted_engine import ScriptedEngine

CAPABILITIES = [Steerable, Queryable, Benchable, Forgetful, Restartable]


@pytest.mark.parametrize("capability", CAPABILITIES)
async def test_the_worker_and_its_script_have_all_and_the_core_none(tmp_path: Path, capability: type[object]) -> None:
    worker: Engine = WorkerClient(tmp_path / "engine.log")
    scripted: Engine = ScriptedEngine()
    core: Engine = ScriptedCore()
    assert isinstance(worker, capability)
    assert isinstance(scripted, capability)
    assert not isinstance(core, capability)
    await worker.close()


def test_a_required_capability_that_is_missing_names_the_purpose() -> None:
    scripted = ScriptedEngine()
    assert require(scripted, Queryable, "score text") is scripted
    with pytest.raises(UsageError, match="this engine cannot score text"):
        require(ScriptedCore(), Queryable, "score text")


def test_the_core_neither_hangs_nor_crashes_and_saves_nothing() -> None:
    core, scripted = ScriptedCore(), ScriptedEngine()
    scripted.stall, scripted.crash_looping = Stall(2.0, answers=True), True
    assert (stall_of(core), is_crash_looping(core)) == (None, False)
    assert (stall_of(scripted), is_crash_looping(scripted)) == (scripted.stall, True)
    forget(core, [7])
    forget(scripted, [7])
    assert scripted.forgotten == [7]
