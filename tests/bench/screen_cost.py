"""What the screen costs decode: the chat at 120x40 beside `tok ask`. `uv run python -m tests.bench.screen_cost`.

The same prompt, preset and seed, in turns; both rates are the engine's own, the chat's read back from its store.
Nothing else may run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import os
import pty
import struct
import subprocess
import tempfile
import termios
from pathlib import Path
from statistics import median

from app.config.paths import database_file
from app.store.store import Store
from tests.e2e.terminal import TOK

PROMPT = "Write a long story about a lighthouse keeper and the sea, with a list and some code"
CONFIG = """
[presets.bench]
max_tokens = {n_tokens}
seed = 7
ban = ["<|im_end|>"]
temperature = 0.8
min_p = 0.1
repeat_penalty = 1.1
"""


def headless() -> float:
    """Decode tokens/s of `tok ask --json`."""
    command = [*TOK, "ask", PROMPT, "-p", "bench", "--json", "--logprobs", "10", "--no-save"]
    run = subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    return float(json.loads(run.stdout)["timings"]["decode_tps"])


def in_the_chat() -> float:
    """Decode tokens/s of the same in the chat, its panels live."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    environment = os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    chat = subprocess.Popen([*TOK, "chat", "-p", "bench"], stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    try:
        _read_until(master, b"ready")
        os.write(master, PROMPT.encode() + b"\r")
        _read_until(master, b"length limit")
        os.write(master, b"\x11")
        _read_until(master, b"\x1b[?1049l")
    finally:
        chat.wait()
        os.close(master)
    return asyncio.run(_last_rate())


def _read_until(fd: int, marker: bytes) -> None:
    """Takes what the chat draws, as a terminal would, without the cost of drawing it."""
    seen = b""
    while marker not in seen:
        seen = seen[-100:] + os.read(fd, 1 << 16)


async def _last_rate() -> float:
    store = await Store.open(database_file())
    try:
        conversation = await store.last_conversation()
        assert conversation is not None
        generation = (await store.branch(conversation.id))[-1].generation
        assert generation is not None
        return generation.timings.decode_tps
    finally:
        await store.close()


def main() -> None:
    """Prints both medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=256)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("CONFIG", "DATA", "CACHE"):
            os.environ[f"TOKSCOPE_{kind}_DIR"] = str(Path(folder, kind))
        config = Path(folder, "CONFIG", "config.toml")
        config.parent.mkdir()
        config.write_text(CONFIG.format(n_tokens=options.tokens))
        headless()
        rounds = [(in_the_chat(), headless()) for _ in range(options.rounds)]
    chat, ask = (median(rates) for rates in zip(*rounds, strict=True))
    print(f"chat {chat:.1f} tok/s, tok ask {ask:.1f} tok/s, ratio {median(a / b for a, b in rounds):.2f}")


if __name__ == "__main__":
    main()
