"""`tok batch` over an output with errors: what failed is done again, and no kill in between loses an answer."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from app.cli.batch.earlier import redone_file
from app.cli.main import main
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import reply
from tests.unit.cli.batch.test_batch import Files, asked, beside, prompts, texts

pytestmark = pytest.mark.usefixtures("model")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def result(index: int, line_id: object = None, **more: object) -> str:
    return json.dumps({"index": index, "id": f"i{index}" if line_id is None else line_id, **more})


ERROR = {"code": 1, "kind": "failed", "message": "x", "hint": ""}


def left(files: Files, *rows: str) -> None:
    files.output.write_text("".join(f"{row}\n" for row in rows))


def test_a_line_that_failed_is_done_again_in_its_place(tok, files: Files) -> None:
    files.give(*prompts(4))
    left(files, result(0, text="r0"), result(1, error=ERROR), result(2, text="r2"))
    engine = ScriptedEngine(["r1", "r3"])
    outcome = tok(*files.arguments("--parallel", "1"), engine=engine)
    assert (outcome.code, asked(engine)) == (0, ["p1", "p3"])
    assert texts(files) == ["r0", "r1", "r2", "r3"]
    assert [line["index"] for line in files.results] == [0, 1, 2, 3]
    assert "tok: 2 of 4 lines are answered already" in outcome.err
    assert "tok: retrying a failed line: 2" in outcome.err
    assert not redone_file(files.output).exists()


def test_a_line_that_was_no_json_is_answered_once_it_is_repaired(tok, files: Files) -> None:
    files.give('{"prompt": "p0", "id": "i0"', *prompts(2)[1:])
    assert tok(*files.arguments(), engine=ScriptedEngine(["r1"])).code == 1
    files.give(*prompts(2))
    assert tok(*files.arguments(), engine=ScriptedEngine(["r0"])).code == 0
    assert [(line["id"], line["text"]) for line in files.results] == [("i0", "r0"), ("i1", "r1")]


def test_a_line_that_fails_again_is_reported_again_and_loads_nothing(tok, files: Files) -> None:
    files.give("{", *prompts(1))
    tok(*files.arguments(), engine=ScriptedEngine(["r"]))
    before, engine = files.output.read_bytes(), ScriptedEngine()
    outcome = tok(*files.arguments(), engine=engine)
    assert (outcome.code, files.output.read_bytes(), engine.loads) == (1, before, [])
    assert "line 1: not JSON" in outcome.err


def test_a_kill_before_the_end_loses_no_answer(tok, files: Files) -> None:
    files.give(*prompts(4))
    left(files, result(0, error=ERROR), result(1, error=ERROR), result(2, error=ERROR))
    redone_file(files.output).write_text(result(0, text="r0") + "\n" + result(1, error=ERROR) + "\n" + result(2)[:9])
    engine = ScriptedEngine(["r1", "r2", "r3"])
    assert tok(*files.arguments("--parallel", "1"), engine=engine).code == 0
    assert asked(engine) == ["p1", "p2", "p3"]
    assert texts(files) == ["r0", "r1", "r2", "r3"]


def test_ctrl_c_keeps_what_was_done_again(files: Files) -> None:
    files.give(*prompts(2))
    left(files, result(0, error=ERROR), result(1, error=ERROR))
    engine = ScriptedEngine(["r0", "r1 long"], gated=True)

    async def act() -> None:
        for _ in range(3):
            await engine.release(1)
        os.kill(os.getpid(), signal.SIGINT)

    assert main(files.arguments("--parallel", "1"), beside(engine, act)) == 130
    assert texts(files) == ["r0", None]
    assert not redone_file(files.output).exists()


def test_an_engine_that_is_lost_again_leaves_the_output_whole(tok, files: Files) -> None:
    files.give(*prompts(2))
    left(files, result(0, error=ERROR), result(1, text="r1"))
    engine = ScriptedEngine([reply("a", dies_after=0), reply("a", dies_after=0)])
    assert tok(*files.arguments("--parallel", "1"), engine=engine).code == 1
    bad, good = files.results
    assert (bad["error"]["kind"], good["text"]) == ("engine_lost", "r1")


def test_an_answer_under_another_id_is_no_output_of_this_input(tok, files: Files) -> None:
    files.give(*prompts(2))
    left(files, result(0, "other", text="r"), result(1, error=ERROR))
    before = files.output.read_bytes()
    assert tok(*files.arguments()).code == 2
    assert files.output.read_bytes() == before


def test_foreign_lines_beside_the_output_are_not_taken(tok, files: Files) -> None:
    files.give(*prompts(1))
    left(files, result(0, text="r0"))
    redone_file(files.output).write_text(result(0, text="another") + "\n")
    outcome = tok(*files.arguments())
    assert (outcome.code, texts(files)) == (2, ["r0"])
    assert "out.jsonl.redone has no results for this output" in outcome.err


def test_a_kill_right_after_the_output_was_replaced_changes_nothing(tok, files: Files) -> None:
    files.give(*prompts(1))
    left(files, result(0, text="r0"))
    redone_file(files.output).write_text(result(0, text="r0") + "\n")
    assert (tok(*files.arguments()).code, texts(files)) == (0, ["r0"])
    assert not redone_file(files.output).exists()


def test_overwrite_forgets_what_was_done_again(tok, files: Files) -> None:
    files.give(*prompts(1))
    left(files, result(0, error=ERROR))
    redone_file(files.output).write_text(result(0, text="old") + "\n")
    assert tok(*files.arguments("--overwrite"), engine=ScriptedEngine(["new"])).code == 0
    assert (texts(files), redone_file(files.output).exists()) == (["new"], False)


def test_the_output_keeps_its_mode_and_its_link(tok, files: Files, tmp_path: Path) -> None:
    files.give(*prompts(1))
    target = tmp_path / "kept.jsonl"
    target.write_text(result(0, error=ERROR) + "\n")
    target.chmod(0o640)
    files.output.symlink_to(target)
    assert tok(*files.arguments(), engine=ScriptedEngine(["r0"])).code == 0
    assert (files.output.is_symlink(), target.stat().st_mode & 0o777) == (True, 0o640)
    assert texts(files) == ["r0"]
