"""`tok` over a scripted engine: `python -m tests.faults.scripted_tok ARGUMENTS…`, started by the faults as a process.

TOK_REPLY is what the engine answers; TOK_FILE_BYTES how long a file may become, as on a disk that is full; TOK_PAUSE
makes the reply stop after its second token until a signal comes.
"""

from __future__ import annotations

import os
import resource
import signal
import sys

from app.cli.common.exit_codes import raise_when_signalled
from app.cli.common.launching import EngineLauncher
from app.cli.main import main
from tests.fakes.scripted_engine import ScriptedEngine


def make_engine() -> ScriptedEngine:
    """Answers at once, or stops after two tokens."""
    engine = ScriptedEngine(default=os.environ.get("TOK_REPLY", "one two three"), gated="TOK_PAUSE" in os.environ)
    engine.permit(3)
    return engine


if __name__ == "__main__":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    if limit := os.environ.get("TOK_FILE_BYTES"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    raise_when_signalled()
    sys.exit(main(sys.argv[1:], EngineLauncher(make_engine)))
