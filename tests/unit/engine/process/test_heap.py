"""What was freed goes back to the system, also where small blocks were allocated behind it."""

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import ctypes, sys
if sys.argv[1] == "guarded":
    from app.engine.process.vitals import give_back_freed_blocks
    give_back_freed_blocks()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, (ctypes.c_size_t,), (ctypes.c_void_p,)
STATE, SMALL = 24 << 20, 64 << 10

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

def block(n_bytes):
    at = libc.malloc(n_bytes)
    ctypes.memset(at, 1, n_bytes)
    return at

libc.free(block(STATE))
before = resident()
for _ in range(4):
    states = [block(STATE) for _ in range(2)]
    behind = block(SMALL)
    for state in states:
        libc.free(state)
print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc" or sys.platform != "linux", reason="glibc on Linux alone")
def test_states_leave_nothing_in_the_heap():
    def left(mode: str) -> int:
        argv = [sys.executable, "-c", SCRIPT, mode]
        return int(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)

    assert left("guarded") < 4 << 20
    assert left("plain") > 20 << 20
