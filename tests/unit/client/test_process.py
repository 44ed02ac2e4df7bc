"""What a worker is given and how its end is reported."""

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


@pytest.mark.parametrize(
    "name",
    [
        *("OPENAI_API_KEY", "HF_TOKEN", "aws_secret_access", "AWS_ACCESS_KEY_ID", "PGPASSWORD", "X_CREDENTIALS"),
        *("DATABASE_URL", "GITHUB_PAT", "NPM_AUTH", "SSH_AUTH_SOCK", "SENTRY_DSN", "LDAP_BIND", "COOKIE", "http_proxy"),
        *("DBUS_SESSION_BUS_ADDRESS", "TOKSCOPE_DATA_DIR", "LLAMA_API_KEY", "CUDA_TOKEN", "MY_PATH", "PATHOLOGY"),
    ],
)
def test_what_a_worker_does_not_need_stays_behind(name):
    assert name not in worker_environment({name: "x"})


@pytest.mark.parametrize(
    "name",
    [
        *("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "PYTHONUTF8"),
        *("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HSA_OVERRIDE_GFX_VERSION"),
        *(
            "GGML_CUDA_ENABLE_UNIFIED_MEMORY",
            "OMP_NUM_THREADS",
            "GOMP_CPU_AFFINITY",
            "OPENBLAS_CORETYPE",
            "VK_ICD_FILENAMES",
        ),
        *("ONEAPI_DEVICE_SELECTOR", "MALLOC_ARENA_MAX", "SystemRoot", "XDG_CACHE_HOME", "VIRTUAL_ENV"),
    ],
)
def test_what_python_llama_cpp_and_drivers_read_goes_along(name):
    assert worker_environment({name: "x"})[name] == "x"


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
