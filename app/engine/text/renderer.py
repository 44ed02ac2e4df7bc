"""Runs chat templates in a child process, because only a process can be stopped.

A thread cannot be interrupted inside `9**9**9` or a gigabyte of string, and a hostile template must not take the model
down. The child starts in 0.1 s, while the model loads, and stays; a render costs one round trip over a pipe. On macOS
only the deadline bounds the child's memory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[3]
"""Folder of the package `app`."""
_CHILD = "import sys; sys.path.insert(0, sys.argv[1]); from app.engine.text.sandbox import main; main()"
_NEEDED = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PATH", "TZ")
"""Environment of the child: where Python finds its libraries, and the time zone."""
_START_S = 30.0
"""Deadline for the start of the child, which a busy machine delays."""


class TemplateError(Exception):
    """A template cannot be compiled or refuses a conversation."""


class TemplateHungError(Exception):
    """A template reached the deadline or killed its process. It must not be tried again."""


class Renderer:
    """One child process, started on demand and again after a template has killed it.

    Thread-safe: renders run one at a time.
    """

    def __init__(self, deadline_s: float = 2.0) -> None:
        self._deadline_s = deadline_s
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ready = False
        self._lock = threading.Lock()

    def start(self) -> None:
        """Starts the child without waiting for it. If that fails, `render` raises."""
        if self._process is None:
            self._is_ready = False
            with suppress(OSError):
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-c", _CHILD, str(_ROOT)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env={name: os.environ[name] for name in _NEEDED if name in os.environ},
                )

    def render(self, source: str, context: dict[str, Any], limit: int) -> str:
        """Renders the Jinja template `source` with `context`.

        Raises TemplateError if the template fails or writes more than `limit` characters, and TemplateHungError.
        """
        request = json.dumps({"source": source, "context": context, "limit": limit}).encode()
        with self._lock:
            self.start()
            if not self._is_ready:
                self._exchange(b"", _START_S)
                self._is_ready = True
            answer: dict[str, str] = json.loads(self._exchange(request + b"\n", self._deadline_s))
        if "error" in answer:
            raise TemplateError(answer["error"])
        return answer["text"]

    def _exchange(self, request: bytes, within_s: float) -> bytes:
        process = self._process
        if process is None:
            raise TemplateHungError("its process did not start")
        assert process.stdin is not None
        assert process.stdout is not None
        late = threading.Event()

        def kill() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(within_s, kill)
        timer.daemon = True
        timer.start()
        line = b""
        try:
            process.stdin.write(request)
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            pass  # the child is gone: the line stays empty
        finally:
            timer.cancel()
        if not line.endswith(b"\n"):
            self.close()
            raise TemplateHungError(f"it ran longer than {within_s:g} s" if late.is_set() else "it ended its process")
        return line

    def close(self) -> None:
        """Ends the child. Idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        process.wait()
