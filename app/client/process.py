"""Starts, feeds, reads and ends one worker process. Knows bytes and exit codes, not the protocol.

Threads move the bytes, so that a worker can start before there is an event loop and before Textual is imported (inside
Textual `sys.stderr` has no file descriptor).
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

from app.domain.files import open_regular

N_TAIL_LINES = 20
_TAIL_BYTES = 16 << 10
_READ_BYTES = 1 << 16
_EXIT_GRACE_S = 1.0
"""How long a worker that has closed its stdout may take to exit."""

_NEEDED = re.compile(
    r"PATH|HOME|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|TEMP|TMP|VIRTUAL_ENV|XDG_(CACHE_HOME|RUNTIME_DIR)"
    r"|PYTHON\w*|(LD|DYLD|MALLOC|GLIBC|GGML|LLAMA|GOMP|OMP|KMP|OPENBLAS|BLIS|MKL|CUDA|NVIDIA|HIP|ROCM|ROCR|HSA|GPU)_\w+"
    r"|(MTL|METAL|VK|VULKAN|MESA|SYCL|ONEAPI|ZE|MUSA|CANN|ASCEND)_\w+"
    r"|SYSTEMROOT|WINDIR|SYSTEMDRIVE|COMSPEC|PATHEXT|USERPROFILE|APPDATA|LOCALAPPDATA|PROGRAMDATA|NUMBER_OF_PROCESSORS"
    r"|PROCESSOR_\w+",
    re.IGNORECASE,
)
"""Variables for Python, llama.cpp and GPU drivers. Any other variable may hold a secret."""
_SECRET = re.compile(r"KEY(_|$)|TOKEN|SECRET|PASSW|CREDENTIAL", re.IGNORECASE)
_ROOT = Path(__file__).resolve().parents[2]
"""The folder that contains the package `app`: a checkout or site-packages."""


def worker_argv(log_path: Path | None) -> list[str]:
    """Returns the command line of the real worker. Its caches are beside its log; without a log it has no caches.

    `-P` keeps an `app/` in the current folder out of `sys.path`.
    """
    places = ("--log", str(log_path), "--cache", str(log_path.parent)) if log_path else ()
    return [sys.executable, "-P", "-m", "app.engine", *places]


def worker_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables of `environment` that a worker needs, with a path from which it imports this package."""
    clean = {name: value for name, value in environment.items() if _NEEDED.fullmatch(name) and not _SECRET.search(name)}
    if str(_ROOT) not in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        clean["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_ROOT), clean.get("PYTHONPATH"))))
    return clean


def describe_exit(code: int) -> str:
    """Returns a `subprocess` exit code in words, as in `killed by SIGKILL` or `exited with code 1`."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


class WorkerProcess:
    """A started worker. Methods return at once and may be called from any thread.

    Attributes:
        notice: a message for the user about the start.
    """

    def __init__(self, popen: subprocess.Popen[bytes], log_path: Path, log_start: int, notice: str = "") -> None:
        self.notice = notice
        self._popen = popen
        self._log_path = log_path
        self._log_start = log_start
        self._outgoing: SimpleQueue[bytes | None] = SimpleQueue()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    def attach(self, on_chunk: Callable[[bytes], None], on_exit: Callable[[int], None]) -> None:
        """Starts to move bytes. A thread calls `on_chunk` with each chunk of stdout, then `on_exit` with the exit code.

        The next chunk is read only after `on_chunk` returns.
        """
        threading.Thread(target=self._read, args=(on_chunk, on_exit), name="engine-read", daemon=True).start()
        threading.Thread(target=self._write, name="engine-write", daemon=True).start()

    def send(self, data: bytes) -> None:
        """Queues bytes for stdin; they are lost if the worker has exited."""
        self._outgoing.put(data)

    def close_input(self) -> None:
        """Closes stdin after the queued bytes, which asks the worker to exit."""
        self._outgoing.put(None)

    def terminate(self) -> None:
        """Sends SIGTERM."""
        with suppress(OSError):
            self._popen.terminate()

    def kill(self) -> None:
        """Sends SIGKILL."""
        with suppress(OSError):
            self._popen.kill()

    def discard(self) -> None:
        """Kills a worker that was never attached, and waits for its exit."""
        self.kill()
        with self._popen:
            pass

    def log_tail(self) -> str:
        """Returns the last lines that this worker wrote to its log; empty if they cannot be read."""
        try:
            with open(open_regular(self._log_path), "rb") as log:
                size = log.seek(0, os.SEEK_END)
                # A worker that limits its log may have truncated the file.
                start = self._log_start if self._log_start <= size else 0
                log.seek(max(start, size - _TAIL_BYTES))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-N_TAIL_LINES:])

    def _read(self, on_chunk: Callable[[bytes], None], on_exit: Callable[[int], None]) -> None:
        stdout = self._popen.stdout
        assert stdout is not None
        with stdout:
            while chunk := stdout.read(_READ_BYTES):
                on_chunk(chunk)
        try:
            code = self._popen.wait(_EXIT_GRACE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            code = self._popen.wait()
        self.close_input()
        on_exit(code)

    def _write(self) -> None:
        stdin = self._popen.stdin
        assert stdin is not None
        with suppress(OSError), stdin:
            while (data := self._outgoing.get()) is not None:
                rest = memoryview(data)
                while rest:
                    rest = rest[stdin.write(rest) :]


def spawn(log_path: Path, argv: Sequence[str] | None = None) -> WorkerProcess:
    """Starts a worker that writes stderr to `log_path`; creates the folder if needed.

    If the log cannot be written, the worker has no log and no cache, and a notice says so. The worker gets its own
    session, so that Ctrl-C in the terminal does not reach it. Raises OSError.
    """
    notice = ""
    try:
        log_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = open_regular(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    except OSError as error:
        notice = (
            f"{log_path} cannot be written ({error.strerror}): no cache and no engine log; "
            "set TOKSCOPE_CACHE_DIR to a writable folder"
        )
        log = os.open(os.devnull, os.O_WRONLY)
    try:
        log_start = os.fstat(log).st_size
        popen = subprocess.Popen(
            argv or worker_argv(None if notice else log_path),
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=worker_environment(os.environ),
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
    finally:
        os.close(log)
    return WorkerProcess(popen, log_path, log_start, notice)
