"""llama.cpp's own yardsticks: its benchmarks and `llama-perplexity`, built in seconds against the wheel's libraries.

The source is the one that the wheel was built from; see `llama_source`.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from tests.bench.llama_source import bench_dir, find_source, is_current, link_options

_INCLUDES = ("include", "ggml/include", "common", "vendor")
_FOLDERS = {"llama-bench": "llama-bench", "llama-batched-bench": "batched-bench", "llama-perplexity": "perplexity"}
_LIBRARIES = ("llama-common", "llama", "ggml", "ggml-base", "ggml-cpu")


def build(source: Path | None = None, name: str = "llama-bench") -> Path:
    """Returns a tool linked to the installed libraries, building it when there is none yet."""
    binary = bench_dir() / name
    if is_current(binary):
        return binary
    llama = find_source(source)
    tool = llama / "tools" / _FOLDERS[name]
    command = ["g++", "-O1", "-std=c++17", *(f"-I{llama / folder}" for folder in _INCLUDES), "-o", str(binary)]
    command += [str(file) for file in sorted(tool.glob("*.cpp"))]
    subprocess.run([*command, *link_options(*_LIBRARIES)], check=True)
    return binary


def tokens_per_second(binary: Path, model: Path, *, n_threads: int, n_generate: int = 128, depth: int = 0) -> float:
    """Returns the decode rate of one repetition of `llama-bench -n`, after `depth` other tokens."""
    return _rate(binary, model, n_threads, "-p", "0", "-n", str(n_generate), "-d", str(depth))


def prompt_tokens_per_second(binary: Path, model: Path, *, n_threads: int, n_prompt: int = 512) -> float:
    """Returns the prefill rate of one repetition of `llama-bench -p`."""
    return _rate(binary, model, n_threads, "-p", str(n_prompt), "-n", "0")


def _rate(binary: Path, model: Path, n_threads: int, *what: str) -> float:
    command = [str(binary), "-m", str(model), *what, "-t", str(n_threads), "-r", "1", "-o", "json"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(run.stdout)[0]["avg_ts"])


def batched_tokens_per_second(
    binary: Path, model: Path, *, n_threads: int, n_sequences: int, n_prompt: int, n_generate: int
) -> float:
    """Returns the aggregate decode rate of `n_sequences` continuations of one prompt (`-pps`, unified cache)."""
    # The tool may end before its last row is written, so another one follows that nobody needs.
    rows_wanted = f"{n_sequences},1"
    sizes = {"-npp": n_prompt, "-ntg": n_generate, "-npl": rows_wanted, "-t": n_threads, "-c": 8192}
    command = [str(binary), "-m", str(model), "-pps", "-kvu", "--output-format", "jsonl"]
    for option, value in sizes.items():
        command += [option, str(value)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    return next(float(row["speed_tg"]) for row in rows if row["pl"] == n_sequences)


def perplexity(binary: Path, model: Path, text: Path, *, n_ctx: int, n_threads: int) -> tuple[float, float]:
    """Returns the final estimate of `llama-perplexity -f TEXT -c N` and its standard error, one window at a time."""
    command = [str(binary), "-m", str(model), "-f", str(text), "-c", str(n_ctx), "-b", str(n_ctx), "-t", str(n_threads)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"Final estimate: PPL = ([0-9.]+) \+/- ([0-9.]+)", run.stdout + run.stderr)
    if not found:
        raise RuntimeError(f"llama-perplexity gave no estimate:\n{run.stderr[-1000:]}")
    return float(found[1]), float(found[2])
