"""A new panel is its own module and one line in the registry; everything else follows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_a_panel_in_the_registry_is_seen_everywhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.tui.watch.example_panel", str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=50)
    assert run.returncode == 0, run.stderr
    seen = json.loads(run.stdout.splitlines()[-1])
    assert any(line.startswith("EXAMPLE ") for line in seen["column"])
    assert seen["page"] == ["The example page counts 3"]
    assert seen["picker"] == ["Example"]
    assert seen["palette"] == ["Watch the example"]
    assert seen["help"] == ["Example  F7", "Counts the tokens of the reply. It exists in a test alone."]
    keys, panels, pages = seen["manual"]
    assert "`watch_example` | Watch the example: Tokens written so far" in keys
    assert "* Example: tokens written so far" in panels
    assert "* Example: Counts the tokens of the reply." in pages
