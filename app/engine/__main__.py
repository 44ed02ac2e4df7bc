"""The entry of the worker process: `python -m app.engine --log FILE --cache DIR`.

Its pipes are moved aside and fd 1 and 2 point at the log before llama_cpp is imported, so that nothing native code
prints can reach the protocol or somebody's terminal.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from app.domain.files import open_regular

MAX_LOG_BYTES = 5 << 20


def main() -> int:
    """Serves one app. Exit code 0: asked to end, or the app has gone; 70: the backend failed twice."""
    in_fd, out_fd = os.dup(0), os.dup(1)
    log_path, cache = _option("--log") or os.devnull, _option("--cache")
    log_fd = open_regular(Path(log_path), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    if os.fstat(log_fd).st_size > MAX_LOG_BYTES:
        os.ftruncate(log_fd, 0)
    null_fd = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null_fd, 0)
    os.dup2(log_fd, 1)
    os.dup2(log_fd, 2)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["GGML_NO_BACKTRACE"] = "1"  # read when the library is loaded; else an abort starts a debugger

    from app.engine.process.vitals import give_back_freed_blocks
    from app.engine.process.worker import Worker

    give_back_freed_blocks()
    return Worker(in_fd, out_fd, Path(cache) if cache else None).run()


def _option(name: str) -> str:
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv[:-1] else ""


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # everything is freed; static destructors of native libraries may still trip
