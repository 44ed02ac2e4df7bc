"""From Esc to an idle chat, as the terminal sees it: `uv run python -m tests.bench.stop_latency [--rounds N]`.

The clock starts before the key is written to the terminal and ends when the header says `ready`.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import time
from pathlib import Path
from statistics import median

from tests.e2e.terminal import TOK, Terminal

ENDLESS = '[presets.endless]\nban = ["<|im_end|>", "<|endoftext|>"]\n'
"""A reply that only a stop can end."""


def stops_ms(rounds: int) -> list[float]:
    """Stops as many long replies in one chat; returns the milliseconds that each took."""
    taken: list[float] = []
    with Terminal((*TOK, "chat", "--preset", "endless"), width=120, height=40) as terminal:
        terminal.wait_for("● ready")
        for round_ in range(rounds):
            terminal.type("\x0e")  # a new conversation
            terminal.wait_for("one token at a time")
            terminal.type(f"Write a very long story, number {round_}\r")
            terminal.wait_for(lambda screen: "◉ replying" in screen and len(re.findall(r"\w+", screen)) > 150)
            start = time.perf_counter()
            terminal.type("\x1b")
            terminal.wait_for("● ready")
            taken.append((time.perf_counter() - start) * 1000)
        terminal.type("\x11")
        terminal.wait()
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("CONFIG", "DATA"):
            os.environ[f"TOKSCOPE_{kind}_DIR"] = str(Path(folder) / kind.lower())
        config = Path(os.environ["TOKSCOPE_CONFIG_DIR"])
        config.mkdir()
        (config / "config.toml").write_text(ENDLESS)
        taken = stops_ms(parser.parse_args().rounds)
    print(f"Esc to idle: median {median(taken):.0f} ms, longest {max(taken):.0f} ms of {len(taken)} (goal: 150 ms)")


if __name__ == "__main__":
    main()
