"""`tok bench` end to end: a real worker, a synthetic model, the basic suite once."""

import json
import subprocess
import sys
from pathlib import Path

from tests.synthetic.shapes import SHAPES
from tests.synthetic.writer import write_model

ROOT = Path(__file__).resolve().parents[2]


def test_the_basic_suite_on_a_synthetic_model(tmp_path: Path) -> None:
    path = write_model(tmp_path / "tiny.gguf", SHAPES["tiny"], "q4_0")
    command = [sys.executable, "-m", "app", "bench", "-m", str(path), "-r", "1", "--json"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert [row["name"] for row in report["rows"] if not row["values"]] == []
    assert report["rows"][-1]["name"] == "abort in a prefill"
    assert report["environment"]["build"].startswith("llama-cpp-python")
    assert [line.split(":")[0] for line in run.stderr.splitlines()] == ["basic"] * len(report["rows"])
