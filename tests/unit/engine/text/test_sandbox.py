"""What a process that was confined can still do: tried in a process of its own."""

import ctypes
import json
import subprocess
import sys

import pytest

from app.engine.text import sandbox

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's means are Linux's")

_TRY = """
import ctypes, json, os, resource, socket, sys, time
from app.engine.text import sandbox

def outcome(act):
    try:
        act()
    except OSError as error:
        return type(error).__name__
    return "works"

libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)
for name in sys.argv[1:]:
    {"files": lambda: sandbox._restrict_files(libc), "calls": lambda: sandbox._restrict_calls(libc),
     "all": sandbox.confine}[name]()
print(json.dumps({
    "read": outcome(lambda: open("/etc/passwd").close()),
    "list": outcome(lambda: os.listdir("/")),
    "socket": outcome(lambda: socket.socket().close()),
    "fork": outcome(lambda: os.fork() or os._exit(0)),
    "kill": outcome(lambda: os.kill(os.getppid(), 0)),
    "memory": len(bytearray(1 << 24)),
}))
"""


def tried(*guards: str) -> dict[str, str | int]:
    done = subprocess.run([sys.executable, "-c", _TRY, *guards], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_nothing_is_left_but_computing():
    refused = dict.fromkeys(("read", "list", "socket", "fork", "kill"), "PermissionError")
    assert tried("all") == refused | {"memory": 1 << 24}


def test_without_confinement_all_of_it_works():
    assert tried() == dict.fromkeys(("read", "list", "socket", "fork", "kill"), "works") | {"memory": 1 << 24}


def test_landlock_alone_keeps_files_closed():
    version = ctypes.CDLL(None).syscall(sandbox._LANDLOCK_CREATE, None, 0, sandbox._LANDLOCK_VERSION_FLAG)
    expected = "PermissionError" if version >= 1 else "works"
    after = tried("files")
    assert (after["read"], after["list"]) == (expected, expected)


def test_the_filter_alone_refuses_what_is_not_on_its_list():
    assert "x86_64" in sandbox._CALLS
    assert set(tried("calls").values()) == {"PermissionError", 1 << 24}


def test_a_process_that_nobody_watches_runs_out_of_cpu_time(monkeypatch):
    code = "from app.engine.text import sandbox; sandbox._CPU_S = 0; sandbox.allow_cpu()\nwhile True: pass"
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -24  # SIGXCPU
