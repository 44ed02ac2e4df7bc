"""What no grammar needs is not loaded for requests without one."""

from __future__ import annotations

import subprocess
import sys


def test_llguidance_is_not_imported_before_a_grammar_is_compiled() -> None:
    code = "import sys, app.engine.process.worker; print('llguidance' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=55, check=True)
    assert done.stdout.strip() == "False"
