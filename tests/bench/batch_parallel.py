"""`tok batch --parallel 8` beside 1: `uv run python -m tests.bench.batch_parallel [--rounds N] [--model M]`.

Two files of eight lines: with a system prompt of about 950 tokens and answers of 24 tokens, and short questions
without one. A round runs each of the four once, load and all, in turn; the table shows medians and ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

N_LINES, N_GEN = 8, 24
TOPICS = ("rivers", "clocks", "bread", "glass", "owls", "sails", "copper", "snow")
SYSTEM = " ".join(f"Rule {i}: answer plainly, in few words, and never repeat rule {i}." for i in range(47))
"""About 950 tokens of SmolLM2's vocabulary."""
PARALLEL = (1, 8)


def seconds(source: Path, parallel: int, model: str, *, system: bool) -> float:
    """How long one run takes, from the start of the process to its end. Raises CalledProcessError."""
    command = [sys.executable, "-m", "app", "batch", str(source), "-o", os.devnull, "--overwrite"]
    command += ["--parallel", str(parallel), "--max-tokens", str(N_GEN), "--ban", "<|im_end|>"]
    command += ["-m", model] if model else []
    command += ["-s", SYSTEM] if system else []
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", default="")
    given = parser.parse_args()
    taken: dict[tuple[bool, int], list[float]] = {(system, n): [] for system in (True, False) for n in PARALLEL}
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("CONFIG", "DATA", "CACHE"):
            os.environ[f"TOKSCOPE_{kind}_DIR"] = str(Path(folder) / kind.lower())
        source = Path(folder) / "lines.jsonl"
        lines = [{"prompt": f"Tell me something about {topic}."} for topic in TOPICS[:N_LINES]]
        source.write_text("".join(json.dumps(line) + "\n" for line in lines))
        for _ in range(given.rounds):
            for (system, parallel), found in taken.items():
                found.append(seconds(source, parallel, given.model, system=system))
                print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    for system, name, goal in ((True, "shared system prompt", 0.6), (False, "short questions", 0.75)):
        one, eight = (median(taken[system, n]) for n in PARALLEL)
        print(f"{name}: 1 at once {one:.2f} s, 8 at once {eight:.2f} s, ratio {eight / one:.2f} (goal: {goal})")


if __name__ == "__main__":
    main()
