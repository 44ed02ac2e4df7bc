"""What a worker is given and how its end is told."""

import os
import sys
import sysconfig
from pathlib import Path

import pytest

from app.client import process
from app.client.process import describe_exit, spawn, worker_argv, worker_environment


@pytest.mark.parametrize(
    ("code", "words"),
    [(-9, "killed by SIGKILL"), (-6, "killed by SIGABRT"), (-250, "killed by signal 250"), (1, "exited with code 1")],
)
def test_exits_in_words(code, words):
    assert describe_exit(code) == words


def test_secrets_stay_behind():
    secrets = ["OPENAI_API_KEY", "HF_TOKEN", "aws_secret_access", "AWS_ACCESS_KEY_ID", "PGPASSWORD", "X_CREDENTIALS"]
    harmless = ["PATH", "HOME", "TOKSCOPE_DATA_DIR", "KEYBOARD", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"]
    clean = worker_environment(dict.fromkeys([*secrets, *harmless], "x"))
    assert sorted(clean.keys() - {"PYTHONPATH"}) == sorted(harmless)


def test_a_checkout_is_put_before_the_user_s_pythonpath():
    root = str(Path(process.__file__).parents[2])
    assert worker_environment({"PYTHONPATH": "/mine"})["PYTHONPATH"] == os.pathsep.join((root, "/mine"))
    assert worker_environment({})["PYTHONPATH"] == root


def test_an_installed_package_needs_no_path(monkeypatch):
    monkeypatch.setattr(process, "_ROOT", Path(sysconfig.get_path("purelib")))
    assert worker_environment({}) == {}


def test_the_current_folder_cannot_shadow_the_engine(tmp_path):
    argv = worker_argv(tmp_path / "log")
    assert argv == [sys.executable, "-P", "-m", "app.engine", "--log", str(tmp_path / "log"), "--cache", str(tmp_path)]


def test_without_a_log_there_is_no_cache():
    assert worker_argv(None) == [sys.executable, "-P", "-m", "app.engine"]


def test_the_log_s_tail_is_this_worker_s_last_twenty_lines(tmp_path):
    log = tmp_path / "logs" / "engine.log"
    log.parent.mkdir()
    log.write_text("an older worker's line\n")
    worker = spawn(log, [sys.executable, "-c", "import sys; [print(n, file=sys.stderr) for n in range(30)]"])
    worker._popen.wait()
    worker.discard()
    assert worker.log_tail() == "\n".join(str(n) for n in range(10, 30))
    log.write_text("x\n")  # the worker's cap started the file again
    assert worker.log_tail() == "x"
    log.unlink()
    assert worker.log_tail() == ""


def test_an_unused_worker_can_be_discarded(tmp_path):
    worker = spawn(tmp_path / "log", [sys.executable, "-c", "input()"])
    worker.discard()
    with pytest.raises(ProcessLookupError):
        os.kill(worker.pid, 0)
