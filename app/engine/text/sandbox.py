"""Takes from this process, for good, what rendering a template does not need: files, network, programs, privileges.

Linux: no new privileges, Landlock and a seccomp filter, each where the kernel has it. Elsewhere the limits of
`resource` alone. Sources: the kernel's `userspace-api/landlock.rst` and `userspace-api/seccomp_filter.rst`.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import struct
import sys
import time

_MEMORY_BYTES = 1 << 30
_CPU_S = 5
"""CPU seconds of one request: above the parent's deadline, for the case that no parent is left to keep it."""

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446
_LANDLOCK_VERSION_FLAG = 1
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
"""By the version of Landlock that brought them: how many rights on files there are, from bit 0 on."""
_NET_SINCE, _NET_RIGHTS = 4, 0b11
_SCOPE_SINCE, _SCOPES = 6, 0b11

# What a Python that computes, reads its standard input and writes its standard output calls: numbers of each machine.
_CALLS = {
    "x86_64": (
        0xC000003E,
        # read write close fstat lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask rt_sigreturn ioctl mremap
        # madvise getpid exit getrusage sigaltstack gettid futex clock_gettime clock_nanosleep exit_group tgkill
        # prlimit64 getrandom restart_syscall
        (0, 1, 3, 5, 8, 9, 10, 11, 12, 13, 14, 15, 16, 25, 28, 39, 60, 98, 131, 186, 202, 228, 230, 231, 234, 302, 318,
         219),
    ),
    "aarch64": (
        0xC00000B7,
        (63, 64, 57, 80, 62, 222, 226, 215, 214, 134, 135, 139, 29, 216, 233, 172, 93, 165, 132, 178, 98, 113, 115, 94,
         131, 261, 278, 128),
    ),
}  # fmt: skip
_X32_BIT = 0x40000000
_LOAD, _EQUAL, _ABOVE, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000


def confine() -> None:
    """Gives up all that can be given up here; what a kernel does not offer is left out."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # not on Windows

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
        for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC):
            resource.setrlimit(limit, (0, 0))
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _restrict_files(libc)
    _restrict_calls(libc)


def allow_cpu() -> None:
    """Lets this process compute for some seconds more; the kernel ends it after that."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # not on Windows

        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + 1 + _CPU_S, resource.RLIM_INFINITY))


def _restrict_files(libc: ctypes.CDLL) -> None:
    """Landlock: no file can be opened any more, no TCP port, and on new kernels no abstract socket and no signal."""
    version = libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), _LANDLOCK_VERSION_FLAG)
    if version < 1:
        return
    n_rights = max(n for since, n in _FILE_RIGHTS.items() if since <= version)
    net = _NET_RIGHTS if version >= _NET_SINCE else 0
    scopes = _SCOPES if version >= _SCOPE_SINCE else 0
    rules = struct.pack("=QQQ", (1 << n_rights) - 1, net, scopes)
    fd = libc.syscall(_LANDLOCK_CREATE, rules, ctypes.c_size_t(len(rules)), 0)
    if fd >= 0:
        libc.syscall(_LANDLOCK_RESTRICT, fd, 0)
        os.close(fd)


def _restrict_calls(libc: ctypes.CDLL) -> None:
    """seccomp: any call to the kernel that is not on the list fails with EPERM; of another machine's, it ends us."""
    if platform.machine() not in _CALLS:
        return
    arch, calls = _CALLS[platform.machine()]
    program = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, arch), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    program += [(_ABOVE, 0, 1, _X32_BIT), (_RETURN, 0, 0, _KILL)]
    for call in calls:
        program += [(_EQUAL, 0, 1, call), (_RETURN, 0, 0, _ALLOW)]
    program.append((_RETURN, 0, 0, _REFUSE))
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
    header = struct.pack("@HP", len(program), ctypes.addressof(code))
    libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header, 0, 0)
