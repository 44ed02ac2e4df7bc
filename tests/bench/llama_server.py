"""llama-server, built against the installed libraries in about a minute, and a client that times it. Loopback only."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.config.paths import ensure_dir
from tests.bench.llama_source import bench_dir, find_source, is_current, libraries, link_options

_INCLUDES = ("include", "ggml/include", "common", "vendor", ".", "tools/mtmd", "tools/server")
_LIBRARIES = ("llama-common", "mtmd", "llama", "ggml", "ggml-base", "ggml-cpu", "pthread")
_N_COMPILERS = 2
_START_S = 60.0


def build(source: Path | None = None) -> Path:
    """Returns the server, building it where there is none yet; without its web pages."""
    binary = bench_dir() / "llama-server"
    if is_current(binary):
        return binary
    llama, objects = find_source(source), ensure_dir(bench_dir() / "llama-server.o")
    values = {"UI_SOURCE_DIR": llama / "tools" / "ui", "UI_BINARY_DIR": objects, "LLAMA_SOURCE_DIR": llama}
    values |= {"LLAMA_BUILD_NUMBER": 1, "HF_BUCKET": "none", "HF_VERSION": "", "HF_ENABLED": "OFF"}
    values |= {"BUILD_UI": "OFF", "LLAMA_UI_GZIP": "OFF"}
    defined = [f"-D{name}={value}" for name, value in values.items()]
    subprocess.run(["cmake", *defined, "-P", str(llama / "scripts" / "ui-assets.cmake")], check=True)
    files = [*llama.glob("tools/server/*.cpp"), *llama.glob("vendor/cpp-httplib/*.cpp"), objects / "ui.cpp"]
    command = ["g++", "-O1", "-std=c++17", *(f"-I{llama / folder}" for folder in _INCLUDES), f"-I{objects}"]

    def compiled(file: Path) -> str:
        made = objects / f"{file.stem}.o"
        subprocess.run([*command, "-c", str(file), "-o", str(made)], check=True)
        return str(made)

    with ThreadPoolExecutor(_N_COMPILERS) as pool:
        made = list(pool.map(compiled, files))
    subprocess.run(["g++", "-o", str(binary), *made, *link_options(*_LIBRARIES)], check=True)
    return binary


@dataclass(frozen=True)
class Answer:
    """One streamed answer, by the client's clock."""

    text: str
    n_tokens: int
    """As the server counts them."""
    rate: float
    """Tokens a second after the first one; 0 where no more came."""
    seconds: float
    """From the request to its end."""


class Server:
    """A running server; leaving the context ends it."""

    def __init__(self, binary: Path, model: Path, *, n_threads: int, n_slots: int, n_ctx: int, port: int = 0) -> None:
        """`n_ctx`: of one slot. `n_slots`: its `--parallel`; each slot has cells of its own, as is its default then.
        `port`: 0 is any that is free."""
        with socket.socket() as free:
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            free.bind(("127.0.0.1", port))
            self._port = int(free.getsockname()[1])
        command = [str(binary), "-m", str(model), "-t", str(n_threads), "-np", str(n_slots), "-c", str(n_ctx * n_slots)]
        command += ["--host", "127.0.0.1", "--port", str(self._port), "--no-webui", "--offline"]
        # The build may be of another checkout, whose libraries are gone.
        env = os.environ | {"LD_LIBRARY_PATH": str(libraries())}
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)

    @property
    def url(self) -> str:
        """Where its OpenAI API lies."""
        return f"http://127.0.0.1:{self._port}/v1"

    def __enter__(self) -> Server:
        ends = time.monotonic() + _START_S
        while not self._healthy():
            if self._process.poll() is not None or time.monotonic() > ends:
                self._process.kill()
                raise SystemExit("llama-server does not start")
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def kill(self) -> int:
        """Ends it by force; returns its port, for the next one."""
        self._process.kill()
        self._process.wait()
        return self._port

    def ask(self, messages: list[dict[str, str]], parameters: Mapping[str, Any]) -> Answer:
        """Streams one answer. `parameters`: fields of `/v1/chat/completions` and the server's own ones."""
        body = {"messages": messages, "stream": True, "timings_per_token": False, **parameters}
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=600)
        began, first, n_tokens, parts = time.perf_counter(), 0.0, 0, list[str]()
        try:
            connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            if response.status != 200:
                raise SystemExit(f"llama-server: {response.read(1000).decode()}")
            for line in response:
                if not line.startswith(b"data: {"):
                    continue
                chunk = json.loads(line[6:])
                if timings := chunk.get("timings"):
                    n_tokens = int(timings["predicted_n"])
                for choice in chunk["choices"]:
                    if content := choice["delta"].get("content"):
                        first = first or time.perf_counter()
                        parts.append(content)
        finally:
            connection.close()
        ended = time.perf_counter()
        rate = (n_tokens - 1) / (ended - first) if first and n_tokens > 1 else 0.0
        return Answer("".join(parts), n_tokens, rate, ended - began)

    def _healthy(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=1)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()
