"""The process in which chat templates run: jinja2 in a sandbox, in a process without files, network or privileges.

Templates come out of model files and are treated as hostile. jinja2's sandbox keeps them from Python, a cap from
endless output, the kernel from the machine; the parent (`app.engine.text.renderer`) kills this process at the deadline.
A request and its answer are one line of JSON each.

Linux: no new privileges, Landlock and a seccomp filter, as far as the kernel has them. Elsewhere: resource limits only.
Sources: the kernel's `userspace-api/landlock.rst` and `userspace-api/seccomp_filter.rst`.
"""

from __future__ import annotations

import contextlib
import ctypes
import datetime
import errno
import importlib
import json
import os
import platform
import resource
import signal
import struct
import sys
import time
from functools import lru_cache
from typing import Any, NoReturn

from jinja2 import Template, TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

_LAZY = ("jinja2.constants", "jinja2.debug", "pprint")
"""Modules that jinja2 imports late: after `confine` no file can be opened."""
_MEMORY_BYTES = 1 << 30
_CPU_S = 5
"""CPU seconds of one request: above the parent's deadline, in case no parent is left to enforce it."""

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446
_LANDLOCK_VERSION_FLAG = 1
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
"""Number of file rights, from bit 0 on, by the first version of Landlock that has them."""
_NET_SINCE, _NET_RIGHTS = 4, 0b11
_SCOPE_SINCE, _SCOPES = 6, 0b11

# System calls of a Python that computes, reads standard input and writes standard output; numbers by machine.
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
    """Gives up files, network, programs and privileges for good, as far as this kernel supports it."""
    none = dict.fromkeys((resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC), 0)
    for limit, most in ({resource.RLIMIT_AS: _MEMORY_BYTES} | none).items():
        with contextlib.suppress(OSError, ValueError):  # macOS refuses RLIMIT_AS
            resource.setrlimit(limit, (most, most))
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _restrict_files(libc)
    _restrict_calls(libc)


def allow_cpu() -> None:
    """Allows 5 more CPU seconds; then the kernel ends this process."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + 1 + _CPU_S, resource.RLIM_INFINITY))


def _restrict_files(libc: ctypes.CDLL) -> None:
    """Landlock: forbids opening files and TCP ports; on new kernels also abstract sockets and signals."""
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
    """seccomp: a system call that is not listed fails with EPERM; one of another architecture kills the process."""
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


class _Generation(Extension):
    """`{% generation %}…{% endgeneration %}` marks the text to train on; here it renders as its body."""

    tags = {"generation"}  # noqa: RUF012 - jinja2 declares it as an instance variable

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _raise_exception(message: str) -> NoReturn:
    raise TemplateError(message)


def _strftime_now(pattern: str) -> str:
    return datetime.datetime.now().strftime(pattern)


def _tojson(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


@lru_cache(maxsize=2)
def _compile(source: str) -> Template:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _tojson
    return environment.from_string(source, globals={"raise_exception": _raise_exception, "strftime_now": _strftime_now})


def render(source: str, context: dict[str, Any], limit: int) -> str:
    """Renders as Transformers' `apply_chat_template` does.

    Raises ValueError if the result exceeds `limit` characters, and any error of the template.
    """
    now = datetime.datetime.now()
    dates = {"date_string": now.strftime("%d %b %Y"), "datetime": now.strftime("%Y-%m-%d %H:%M:%S")}
    parts: list[str] = []
    size = 0
    for part in _compile(source).generate(dates | context):
        size += len(part)
        if size > limit:
            raise ValueError(f"it writes more than {limit} characters")
        parts.append(part)
    return "".join(parts)


def _answer(line: bytes) -> dict[str, str]:
    try:
        return {"text": render(**json.loads(line))}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"[:500]}


def main() -> None:
    """Serves requests until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in _LAZY:
        importlib.import_module(name)
    render("{{ strftime_now('%c') }}", {}, 100)  # reads the time zone's file
    confine()
    out = sys.stdout.buffer
    out.write(b"ready\n")
    out.flush()
    for line in sys.stdin.buffer:
        allow_cpu()
        out.write(json.dumps(_answer(line)).encode() + b"\n")
        out.flush()
