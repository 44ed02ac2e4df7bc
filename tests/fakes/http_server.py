"""`FakeServer`: an HTTP server on loopback that says exactly what a test scripts, in exactly those pieces."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Seen:
    """One request that came."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Answer:
    """One answer: `parts` go out one by one; an `asyncio.Event` among them is waited for. `broken`: the connection
    ends inside the body."""

    parts: Sequence[bytes | asyncio.Event] = ()
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    broken: bool = False


def as_json(value: object, status: int = 200, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer([json.dumps(value).encode()], status, {"Content-Type": "application/json", **named})


def as_stream(*objects: object, done: bool = True, broken: bool = False) -> Answer:
    parts = [f"data: {json.dumps(each)}\n\n".encode() for each in objects]
    return Answer(
        [*parts, *([b"data: [DONE]\n\n"] if done else [])], 200, {"Content-Type": "text/event-stream"}, broken
    )


def delta(text: str | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """A chunk of `/v1/chat/completions`; `more` goes into the delta."""
    said = {**({} if text is None else {"content": text}), **more}
    return {"choices": [{"index": 0, "delta": said, "finish_reason": finish}]}


class FakeServer:
    """Answers each path with its answers in order, the last one again and again; 404 for others."""

    def __init__(self, answers: dict[str, Answer | Sequence[Answer]] | None = None) -> None:
        self.answers = {path: [a] if isinstance(a, Answer) else list(a) for path, a in (answers or {}).items()}
        self.seen: list[Seen] = []
        self.port = 0
        self.n_closed = 0
        """Connections that the client closed before an answer's end."""
        self.n_connections = 0
        self._server: asyncio.Server | None = None
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> FakeServer:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Ends it as a killed process ends: what is open breaks off."""
        if self._server:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def bodies(self, path: str) -> list[Any]:
        return [seen.body for seen in self.seen if seen.path == path]

    async def until(self, holds: Callable[[], object]) -> None:
        """Waits for requests and closed connections until `holds` is true."""
        while not holds():
            await self._changed.wait()

    def _change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.n_connections += 1
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            self.n_closed += 1
            self._change()
        except asyncio.CancelledError:
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        headers = dict((name.lower(), value) for name, _, value in (line.partition(": ") for line in head[1:] if line))
        raw = await reader.readexactly(int(headers.get("content-length", "0")))
        self.seen.append(Seen(method, path, headers, json.loads(raw) if raw else None))
        self._change()
        queue = self.answers.get(path, [as_json({"error": {"message": "not found"}}, 404)])
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        lines = [f"HTTP/1.1 {answer.status} X", "Transfer-Encoding: chunked"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        for part in answer.parts:
            if isinstance(part, asyncio.Event):
                await self._wait(part, reader)
            elif part:
                writer.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
                await writer.drain()
        if answer.broken:
            return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _wait(self, event: asyncio.Event, reader: asyncio.StreamReader) -> None:
        """Waits for `event`, or for the client to go away."""
        gone, come = asyncio.create_task(reader.read(1)), asyncio.create_task(event.wait())
        await asyncio.wait({gone, come}, return_when=asyncio.FIRST_COMPLETED)
        come.cancel()
        if gone.done():
            raise ConnectionError
        gone.cancel()
        await asyncio.wait({gone})


@contextmanager
def served(answers: dict[str, Answer | Sequence[Answer]]) -> Iterator[FakeServer]:
    """A server in a thread of its own, for code that has its own event loop."""
    server, loop = FakeServer(answers), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(5)
        yield server
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(5)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()
