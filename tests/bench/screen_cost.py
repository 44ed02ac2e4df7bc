"""What the screen costs decode: the chat at 120x40 beside `tok ask`. `uv run python -m tests.bench.screen_cost`.

The same prompt, preset and seed, in turns; both rates are the engine's own, of the whole reply.
Nothing else may run on the machine meanwhile. `tests.bench.page_cost` measures its pages.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from statistics import median

from tests.bench.chat_run import PROMPT, environment, reply_in_the_chat
from tests.e2e.terminal import TOK


def headless(variables: dict[str, str]) -> float:
    """Decode tokens/s of `tok ask --json`."""
    command = [*TOK, "ask", PROMPT, "-p", "bench", "--json", "--logprobs", "10", "--no-save"]
    run = subprocess.run(command, env=variables, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    return float(json.loads(run.stdout)["timings"]["decode_tps"])


def main() -> None:
    """Prints both medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=256)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        variables = environment(Path(folder), options.tokens)
        headless(variables)
        rounds = [(reply_in_the_chat(options.tokens).decode_tps, headless(variables)) for _ in range(options.rounds)]
    chat, ask = (median(rates) for rates in zip(*rounds, strict=True))
    print(f"chat {chat:.1f} tok/s, tok ask {ask:.1f} tok/s, ratio {median(a / b for a, b in rounds):.2f}")


if __name__ == "__main__":
    main()
