"""CPU that the transcript takes while a reply streams, in a real terminal (pty, 120x40), 100 messages before it.

Run `python -m tests.bench.bench_transcript [tokens/s] [fps] [seconds]`; never part of the suite. It prints the share of
a core, CPU per 1,000 tokens, frames and the time of each flush. The figures are the UI process's own CPU time.
"""

from __future__ import annotations

import fcntl
import gc
import os
import pty
import random
import struct
import sys
import termios
import time

COLUMNS, ROWS, N_PRIOR = 120, 40, 100

WORDS = [
    "rain",
    "falls",
    "from",
    "heavy",
    "clouds",
    "when",
    "droplets",
    "of",
    "water",
    "join",
    "and",
    "air",
    "is",
    "warm",
]


def reply(n_tokens: int, seed: int) -> list[str]:
    """Returns Markdown as tokens of some three characters: headings, paragraphs, lists, code, tables, quotes."""
    rng = random.Random(seed)

    def sentence(n: int) -> str:
        words = [rng.choice(WORDS) for _ in range(n)]
        words[rng.randrange(n)] = f"**{rng.choice(WORDS)}**"
        return " ".join(words).capitalize() + "."

    made = ""
    while len(made) < n_tokens * 3.2:
        made += f"## {sentence(4)}\n\n{' '.join(sentence(14) for _ in range(4))}\n\n"
        made += "".join(f"{k}. {sentence(12)}\n" for k in range(1, 6)) + "\n"
        made += "```python\n" + "".join(f"def f{k}(x):\n    return x + {k}  # add\n" for k in range(6)) + "```\n\n"
        made += "| a | b |\n|---|---|\n" + "".join(f"| {sentence(3)} | {k} |\n" for k in range(4)) + "\n"
        made += f"> {sentence(20)}\n\n"
    pieces: list[str] = []
    at = 0
    while at < len(made) and len(pieces) < n_tokens:
        size = rng.choice([1, 2, 3, 3, 4, 6])
        pieces.append(made[at : at + size])
        at += size
    return pieces


def run_app(rate: float, fps: float, seconds: float, report: int) -> None:
    """Runs the app on this terminal and writes one line of figures to the descriptor `report`."""
    from textual.app import App, ComposeResult
    from textual.screen import Screen

    from app.domain.conversation import Message, Role
    from app.tui.transcript.widget import Transcript

    frames: list[float] = []
    paint = Screen._on_timer_update  # pyright: ignore[reportPrivateUsage]  (counts frames)

    def counted(self: Screen) -> None:
        begun = time.process_time()
        paint(self)
        frames.append(1000 * (time.process_time() - begun))

    Screen._on_timer_update = counted  # pyright: ignore[reportPrivateUsage]
    tokens = reply(int(rate * seconds), seed=1)

    def message(number: int, role: Role, content: str) -> Message:
        return Message(id=number, conversation_id=1, parent_id=None, role=role, content=content, created_ms=0)

    class Bench(App[None]):
        def compose(self) -> ComposeResult:
            yield Transcript()

        def on_mount(self) -> None:
            self.animation_level = "none"
            self.view = self.query_one(Transcript)
            prior = ["".join(reply(500, seed=k)) for k in range(N_PRIOR)]
            self.view.show([message(k, Role.ASSISTANT if k % 2 else Role.USER, text) for k, text in enumerate(prior)])
            self.view.begin_reply(message(N_PRIOR, Role.ASSISTANT, ""))
            self.set_timer(1.0, self.begin)

        def begin(self) -> None:
            gc.collect()
            gc.freeze()
            gc.set_threshold(50_000, 20, 100)
            frames.clear()
            self.n_fed, self.flushes = 0, list[float]()
            self.cpu, self.begun = time.process_time(), time.perf_counter()
            self.ticker = self.set_interval(1 / fps, self.flush)

        def flush(self) -> None:
            due = min(len(tokens), int((time.perf_counter() - self.begun) * rate))
            if due > self.n_fed:
                begun = time.process_time()
                self.view.append("".join(tokens[self.n_fed : due]))
                self.flushes.append(1000 * (time.process_time() - begun))
                self.n_fed = due
            if due == len(tokens):
                self.ticker.stop()
                self.call_after_refresh(self.end)

        def end(self) -> None:
            cpu, wall = time.process_time() - self.cpu, time.perf_counter() - self.begun

            def spread(times: list[float]) -> str:
                ranked = sorted(times)
                return "/".join(f"{ranked[int(share * (len(ranked) - 1))]:.1f}" for share in (0.5, 0.95, 1))

            line = (
                f"{rate:g} tok/s, {fps:g} fps: {100 * cpu / wall:.1f} % of a core, "
                f"{1000 * cpu / len(tokens):.2f} s CPU / 1000 tokens; "
                f"{len(self.flushes)} flushes, {len(frames)} frames; "
                f"flush {spread(self.flushes)}, frame {spread(frames)} (p50/p95/max ms)"
            )
            os.write(report, line.encode())
            self.exit()

    Bench().run()


def main() -> None:
    """Runs the app in a pty and prints its report."""
    rate, fps, seconds = (float(arg) for arg in [*sys.argv[1:4], *["100", "15", "10"][len(sys.argv) - 1 :]])
    read_end, write_end = os.pipe()
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
        run_app(rate, fps, seconds, write_end)
        os._exit(0)
    os.close(write_end)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    n_bytes = 0
    try:
        while chunk := os.read(terminal, 1 << 16):
            n_bytes += len(chunk)
    except OSError:
        pass
    os.waitpid(pid, 0)
    print(os.read(read_end, 1 << 16).decode(), f"; {n_bytes} bytes")


if __name__ == "__main__":
    main()
