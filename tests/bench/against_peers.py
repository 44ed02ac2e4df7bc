"""tokscope beside its peers in one interleaved run: `uv run python -m tests.bench.against_peers`.

Every round measures each contender once, so that a busy moment hits all; the table shows medians and their ratios.
Nothing else may run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from app.config.catalogue import load_catalogue
from app.models.locate import locate
from tests.bench import llama_bench
from tests.e2e.terminal import TOK, Terminal

PROMPT = "Write a long story about a lighthouse keeper and the sea"
QUESTION = "Write a haiku about rain"
N_TOKENS = 128
N_CTX = 8192

Measure = Callable[[int], float]


def output_of(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL).stdout


def wall_ms(*command: str) -> float:
    start = time.perf_counter()
    output_of(*command)
    return (time.perf_counter() - start) * 1000


def first_byte_ms(*command: str) -> float:
    start = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as run:
        assert run.stdout
        os.read(run.stdout.fileno(), 1)
        elapsed = (time.perf_counter() - start) * 1000
        run.kill()
    return elapsed


def paint_ms(pattern: str) -> Measure:
    """How long the chat takes until `pattern` is on the screen."""

    def measure(_: int) -> float:
        start = time.perf_counter()
        with Terminal(TOK, width=120, height=40) as terminal:
            terminal.wait_for(pattern)
            elapsed = (time.perf_counter() - start) * 1000
            terminal.wait_for("● ready")
            terminal.type("\x11")
            terminal.wait()
        return elapsed

    return measure


def ask_decode_tps(round_: int) -> float:
    arguments = ("--json", "--no-save", "--max-tokens", str(N_TOKENS), "--seed", str(round_))
    report = json.loads(output_of(*TOK, "ask", PROMPT, *arguments))
    return float(report["timings"]["decode_tps"])


def llama_class_decode_tps(model: Path, n_threads: int, logprobs: int = 0) -> Measure:
    def measure(round_: int) -> float:
        numbers = (str(number) for number in (n_threads, N_CTX, N_TOKENS, round_, logprobs))
        report = output_of(sys.executable, "-m", "tests.bench.llama_class", str(model), *numbers, PROMPT)
        return float(json.loads(report)["decode_tps"])

    return measure


def interleaved(contenders: dict[str, Measure], rounds: int) -> dict[str, float]:
    """Returns each contender's median over the rounds, after one round that is thrown away."""
    samples: dict[str, list[float]] = {name: [] for name in contenders}
    for round_ in range(rounds + 1):
        for name, measure in contenders.items():
            value = measure(round_)
            if round_:
                samples[name].append(value)
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return {name: median(values) for name, values in samples.items()}


def table(title: str, unit: str, medians: dict[str, float], goal: str) -> None:
    """Prints the medians and how the first contender compares with each of the others."""
    print(f"\n{title} ({unit}; goal: {goal})")
    ours = next(iter(medians.values()))
    for name, value in medians.items():
        print(f"  {name:<44} {value:9.1f}   ours / it {ours / value:6.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="for the peers: what ModelReady says")
    parser.add_argument("--source", type=Path, help="an unpacked sdist of llama-cpp-python, to build llama-bench from")
    parser.add_argument("--only", choices=["decode", "help", "paint", "byte"])
    options = parser.parse_args()
    model = locate(None, load_catalogue(), None).path
    rounds: int = options.rounds

    def wanted(name: str) -> bool:
        return options.only in (None, name)

    contenders: dict[str, Measure]

    if wanted("help"):
        contenders = {
            "tok --help": lambda _: wall_ms(str(Path(sys.executable).with_name("tok")), "--help"),
            "python -c 'import typer'": lambda _: wall_ms(sys.executable, "-c", "import typer"),
        }
        table("start", "ms", interleaved(contenders, 3 * rounds), "at most 1.5")
    if wanted("paint"):
        contenders = {
            "the first frame (before Textual is imported)": paint_ms(r"\S"),
            "the chat itself": paint_ms("one token at a time"),
            "a model that is ready": paint_ms("● ready"),
        }
        table("start of the chat", "ms", interleaved(contenders, rounds), "first paint under 800 ms")
    if wanted("byte"):
        tok, llm = (str(Path(sys.executable).with_name(name)) for name in ("tok", "llm"))
        contenders = {
            "tok ask": lambda _: first_byte_ms(tok, "ask", QUESTION),
            "llm -m SmolLM2": lambda _: first_byte_ms(llm, "-m", "SmolLM2", QUESTION),
        }
        table("first byte of an answer", "ms", interleaved(contenders, rounds), "at most 1")
    if wanted("decode"):
        binary = llama_bench.build(options.source)
        n_threads: int = options.threads
        contenders = {
            "tok ask --json": ask_decode_tps,
            "Llama.create_chat_completion(stream=True)": llama_class_decode_tps(model, n_threads),
            "the same with logprobs (what our trace has)": llama_class_decode_tps(model, n_threads, 10),
            f"llama-bench tg{N_TOKENS}": lambda _: llama_bench.tokens_per_second(binary, model, n_threads=n_threads),
        }
        table("decode", "tokens/s", interleaved(contenders, rounds), "at least 1.5 and 0.95")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("CONFIG", "DATA"):
            os.environ[f"TOKSCOPE_{kind}_DIR"] = str(Path(folder) / kind.lower())
        main()
