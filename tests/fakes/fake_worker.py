"""A worker without a model, run as a process: speaks the protocol over stdin and stdout and fails on demand.

`fake_worker(...)` gives the argv. A fault is `PLACE:KIND`: PLACE is `start` (before Hello), `load`, `ready` (idle with
a model), `prefill` or `token`; KIND is `SIG…`, `exitN`, `garbage`, `oversize`, `truncated` (dies inside a frame),
`hang`, `eof` (closes stdout only), or endless events as fast as they are taken: `flood` (of the request or load) and
`strays` (of a request that never was).
"""

from __future__ import annotations

import argparse
import os
import queue
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from app.domain.generation import FinishReason, PromptSpans
from app.protocol.codec import command_decoder, encode
from app.protocol.commands import (
    Abort,
    CancelLoad,
    Generate,
    LoadModel,
    Pause,
    Ping,
    Predict,
    Resume,
    Score,
    Shutdown,
    Tokenize,
)
from app.protocol.events import (
    PROTOCOL_VERSION,
    Event,
    GenerationStarted,
    Hello,
    LoadFailed,
    LoadProgress,
    Paused,
    Pong,
    Predicted,
    PrefillProgress,
    Scored,
    ScoreFinished,
    Tokenized,
    TokensGenerated,
)
from tests.fakes.engine_events import make_finished, make_prediction, make_prompt, make_ready, make_token

NOISE = "\x1b[2J\x1b]0;owned\x07 fake worker talks\n"


def fake_worker(*options: str) -> list[str]:
    """The argv of a fake worker; `options` are those of `_options`."""
    return [sys.executable, "-P", "-m", "tests.fakes.fake_worker", *options]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fault", default="", help="PLACE:KIND, see the module")
    parser.add_argument("--after", type=int, default=0, help="tokens before a fault at `token`")
    parser.add_argument("--once", type=Path, help="a file: the fault happens only while it is absent, then makes it")
    parser.add_argument("--tokens", type=int, default=5, help="of each reply or score; -1 goes on until aborted")
    parser.add_argument("--protocol", type=int, default=PROTOCOL_VERSION)
    parser.add_argument("--slow-load", type=Path, help="a file: a load goes on until it is cancelled while it exists")
    parser.add_argument("--fail-load", type=Path, help="a file: loads fail while it exists")
    parser.add_argument("--deaf", action="store_true", help="ignores Abort and CancelLoad")
    parser.add_argument("--stubborn", action="store_true", help="ignores Shutdown, the end of stdin and SIGTERM")
    parser.add_argument("--still", type=float, default=0.0, help="what it says of its progress when it is asked")
    parser.add_argument("--noise", action="store_true", help="writes to stderr all the time")
    parser.add_argument(
        "--report", action="store_true", help="Hello.build is the names of its environment, a line each"
    )
    return parser.parse_args()


class FakeWorker:
    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._place, _, self._kind = options.fault.partition(":")
        self._commands: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._aborted: set[int] = set()
        self._paused: set[int] = set()
        self._cancelled = threading.Event()
        self._hears = not options.deaf
        self._lock = threading.Lock()

    def run(self) -> None:
        self._fault("start")
        threading.Thread(target=self._listen, daemon=True).start()
        names = "\n".join(sorted(os.environ)) if self._options.report else "fake"
        self._send(Hello(self._options.protocol, os.getpid(), names, ()))
        while not isinstance(command := self._commands.get(), Shutdown):
            if isinstance(command, LoadModel):
                self._load(command)
            elif isinstance(command, Generate):
                self._generate(command)
            elif isinstance(command, Score):
                self._score(command)
            elif isinstance(command, Tokenize):
                self._fault("token")
                self._send(Tokenized(command.request_id, make_prompt(3)))
            elif isinstance(command, Predict):
                self._fault("token")
                self._send(Predicted(command.request_id, 20, make_prediction(" next")))
        if self._options.stubborn:
            _hang()

    def _listen(self) -> None:
        decoder = command_decoder()
        while chunk := os.read(0, 1 << 16):
            for command in decoder.feed(chunk):
                match command:
                    case Abort() if self._hears:
                        self._aborted.add(command.request_id)
                    case Pause():
                        self._paused.add(command.request_id)
                    case Resume():
                        self._paused.discard(command.request_id)
                    case CancelLoad() if self._hears:
                        self._cancelled.set()
                    case Ping():
                        with suppress(OSError):  # a fault has closed it
                            self._send(Pong(self._options.still))
                    case _:
                        self._commands.put(command)
        if not self._options.stubborn:
            os._exit(0)

    def _send(self, *events: Event) -> None:
        rest = b"".join(map(encode, events))
        with self._lock:
            while rest:
                rest = rest[os.write(1, rest) :]
        if self._options.noise:
            os.write(2, NOISE.encode())

    def _load(self, command: LoadModel) -> None:
        self._cancelled.clear()
        self._send(LoadProgress(0.0))
        self._fault("load", LoadProgress(0.5))
        if self._options.slow_load and self._options.slow_load.exists():
            while not self._cancelled.wait(0.01):
                pass
            self._send(LoadFailed("cancelled", cancelled=True))
        elif self._options.fail_load and self._options.fail_load.exists():
            self._send(LoadFailed("the file is gone", "download it again"))
        else:
            self._send(LoadProgress(1.0), make_ready(command.path))
            self._fault("ready")

    def _generate(self, command: Generate) -> None:
        request_id = command.request_id
        self._send(GenerationStarted(request_id, 20, 0, PromptSpans(n_turn=20), 42))
        self._fault("prefill", PrefillProgress(request_id, 1, 20, 1.0))
        self._send(PrefillProgress(request_id, 20, 20, 20.0))
        n_tokens = 0
        if command.n_steps == 0:
            self._paused.add(request_id)
        while n_tokens != self._options.tokens and request_id not in self._aborted:
            if n_tokens == self._options.after:
                self._fault("token", TokensGenerated(request_id, " flood", (make_token(" flood", 1, n_top=3),)))
            text = f" {n_tokens}"
            if request_id in self._paused:
                self._send(Paused(request_id, n_tokens, make_prediction(text, n_tokens)))
                while request_id in self._paused - self._aborted:
                    time.sleep(0.001)
                continue
            self._send(TokensGenerated(request_id, text, (make_token(text, n_tokens, n_top=command.trace_top_k),)))
            n_tokens += 1
            if self._options.tokens < 0:
                time.sleep(0.001)
        reason = FinishReason.ABORT if request_id in self._aborted else FinishReason.LENGTH
        self._send(make_finished(request_id, reason, n_generated=n_tokens))

    def _score(self, command: Score) -> None:
        request_id, n_tokens = command.request_id, 0
        while n_tokens != self._options.tokens and request_id not in self._aborted:
            if n_tokens == self._options.after:
                self._fault("token")
            self._send(Scored(request_id, (make_token(f" {n_tokens}", n_tokens, n_top=command.top_k),)))
            n_tokens += 1
            if self._options.tokens < 0:
                time.sleep(0.001)
        error = "aborted" if request_id in self._aborted else ""
        self._send(ScoreFinished(request_id, n_tokens, n_tokens, float(n_tokens), error))

    def _fault(self, place: str, event: Event | None = None) -> None:
        """Does what was asked for at this place; `event` is what a flood repeats."""
        once = self._options.once
        if place != self._place or (once and once.exists()):
            return
        if once:
            once.touch()
        os.write(2, f"fault: {self._kind}\n".encode())
        match self._kind:
            case "garbage":
                os.write(1, b"\x05\x00\x00\x00hello to you")
            case "oversize":
                os.write(1, b"\xff\xff\xff\xff")
            case "truncated":
                os.write(1, b"\xff\x00\x00\x00half")
                os._exit(1)
            case "flood" | "strays" as kind:
                stray = PrefillProgress(1 << 30, 1, 2, 1.0)
                chunk = [stray if kind == "strays" or event is None else event] * 1000
                while True:
                    self._send(*chunk)
            case "hang":
                _hang()
            case "eof":
                os.close(1)
                _hang()
            case kind if kind.startswith("exit"):
                os._exit(int(kind.removeprefix("exit")))
            case kind:
                os.kill(os.getpid(), signal.Signals[kind])


def _hang() -> None:
    while True:
        signal.pause()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    chosen = _options()
    if chosen.stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    FakeWorker(chosen).run()
