"""One worker from its Hello to its end: commands out, events to whom they belong.

Knows the protocol and its deadlines; restarting is the business of `app.client.worker_client`. Everything here runs in
one event loop; `WorkerProcess` calls in from its threads through `call_soon_threadsafe`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from app.client.mailbox import Mailbox
from app.client.process import WorkerProcess, describe_exit
from app.protocol.codec import FrameError, encode, event_decoder
from app.protocol.commands import (
    Abort,
    Bench,
    CancelLoad,
    Command,
    Forget,
    Generate,
    LoadModel,
    Pause,
    Predict,
    Resume,
    Score,
    Shutdown,
    Tokenize,
)
from app.protocol.events import (
    PROTOCOL_VERSION,
    BenchFinished,
    EngineLost,
    Event,
    GenerationFinished,
    Hello,
    LoadEvent,
    LoadFailed,
    LoadProgress,
    ModelReady,
    Predicted,
    ScoreFinished,
    Tokenized,
)

Request = Generate | Bench | Tokenize | Predict | Score
"""A command with a stream of events of its own, answered under its request_id."""

RequestEnd = GenerationFinished | BenchFinished | Tokenized | Predicted | ScoreFinished
"""The last event of a request that its worker lived to answer."""


@dataclass(frozen=True, kw_only=True)
class Graces:
    """How long a worker may take before it is taken for hung, in seconds."""

    hello_s: float = 30.0
    abort_s: float = 1.5
    cancel_load_s: float = 5.0
    exit_s: float = 2.0
    """Each for: exit after Shutdown, exit after SIGTERM, exit after SIGKILL."""


@dataclass(eq=False)
class _Load:
    command: LoadModel
    mailbox: Mailbox[LoadEvent] | None
    """None when nobody reads it any more."""
    deadline: asyncio.TimerHandle | None = None


@dataclass(eq=False)
class _Request:
    mailbox: Mailbox[Any] | None
    deadline: asyncio.TimerHandle | None = None


class Connection:
    """A live worker, or what is known of a dead one.

    Attributes:
        hello: what it said first; None until then.
        model: the model that it holds.
        loaded: the command that loaded `model`; kept after the worker's death.
        lost: how it ended; None while it lives.
    """

    def __init__(self, process: WorkerProcess, graces: Graces, on_lost: Callable[[Connection], None]) -> None:
        self.hello: Hello | None = None
        self.model: ModelReady | None = None
        self.loaded: LoadModel | None = None
        self.lost: EngineLost | None = None
        self._process = process
        self._graces = graces
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._decoder = event_decoder()
        self._requests: dict[int, _Request] = {}
        self._loads: deque[_Load] = deque()
        self._verdict = ""
        self._condemned = False
        self._greeted = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._gone = asyncio.Event()
        process.attach(
            lambda chunk: self._from_thread(self._receive, chunk), lambda c: self._from_thread(self._lose, c)
        )

    @property
    def loading(self) -> bool:
        """Whether a load is in progress."""
        return bool(self._loads)

    async def greeted(self) -> Hello | EngineLost:
        """Waits for the worker's Hello; one that does not come in time ends the worker."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._greeted.wait(), self._graces.hello_s)
        if not self._greeted.is_set():
            self.kill(f"did not start within {self._graces.hello_s:g} s")
            await self._gone.wait()
        return self.lost or self.hello or EngineLost(None, "said nothing")

    async def idle(self) -> None:
        """Waits until no load is in progress."""
        await self._idle.wait()

    def load(self, command: LoadModel) -> Mailbox[LoadEvent]:
        """Sends a load; its events come to the mailbox returned. Ends with ModelReady, LoadFailed or EngineLost."""
        mailbox: Mailbox[LoadEvent] = Mailbox()
        if self.lost:
            mailbox.put(self.lost)
            return mailbox
        self.model = self.loaded = None
        self._loads.append(_Load(command, mailbox))
        self._idle.clear()
        self._send(command)
        return mailbox

    def leave_load(self, mailbox: Mailbox[LoadEvent]) -> None:
        """Nobody reads `mailbox` any more: a load that still runs is cancelled."""
        for load in self._loads:
            if load.mailbox is mailbox:
                load.mailbox = None
                load.deadline = self._deadline(self._graces.cancel_load_s, "did not cancel a load")
                self._send(CancelLoad())

    def request(self, command: Request) -> Mailbox[Any]:
        """Sends a request; its events come to the mailbox returned. Raises FrameError when it is too long to send."""
        mailbox: Mailbox[Any] = Mailbox()
        if self.lost:
            mailbox.put(self.lost)
            return mailbox
        self._send(command)
        self._requests[command.request_id] = _Request(mailbox)
        return mailbox

    def steer(self, command: Pause | Resume) -> None:
        """Sends what concerns a request that runs; nothing where it does not. Raises FrameError as `request` does."""
        if command.request_id in self._requests:
            self._send(command)

    def forget(self, conversations: tuple[int, ...]) -> None:
        """Sends `Forget`."""
        self._send(Forget(conversations))

    def leave_request(self, request_id: int) -> None:
        """Nobody reads this request any more: one that still runs is aborted, what it still sends is dropped."""
        if request := self._requests.get(request_id):
            request.mailbox = None
            self.abort(request_id)

    def abort(self, request_id: int) -> None:
        """Asks for the end of a request; a worker that does not obey in time is killed."""
        request = self._requests.get(request_id)
        if request and not request.deadline:
            request.deadline = self._deadline(self._graces.abort_s, "did not stop")
            self._send(Abort(request_id))

    def kill(self, verdict: str) -> None:
        """Ends the worker by force; `verdict` becomes the reason of its EngineLost."""
        self._verdict = self._verdict or verdict
        self._condemned = True
        self._process.kill()
        # A process stuck in the kernel may outlive SIGKILL; nobody shall wait for it.
        self._loop.call_later(self._graces.exit_s, self._lose, None)

    async def close(self) -> None:
        """Ends the worker: asked first, then by SIGTERM, then by SIGKILL. Returns when it is reaped."""
        self._verdict = self._verdict or "closed"
        if not self.lost:
            self._send(Shutdown())
        self._process.close_input()
        for force in (self._process.terminate, self._process.kill, lambda: self._lose(None)):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._gone.wait(), self._graces.exit_s)
                return
            force()

    def _send(self, command: Command) -> None:
        self._process.send(encode(command))

    def _deadline(self, seconds: float, fault: str) -> asyncio.TimerHandle:
        return self._loop.call_later(seconds, self.kill, f"{fault} within {seconds:g} s")

    def _from_thread(self, call: Callable[..., None], *args: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: the app is on its way out
            self._loop.call_soon_threadsafe(call, *args)

    def _receive(self, chunk: bytes) -> None:
        if self._condemned:
            return
        try:
            for event in self._decoder.feed(chunk):
                self._route(event)
        except FrameError as error:
            self.kill(f"broke the protocol: {error}")

    def _route(self, event: Event) -> None:
        if (self.hello is None) != isinstance(event, Hello):
            raise FrameError(f"{type(event).__name__} out of order")
        match event:
            case Hello():
                self._greet(event)
            case LoadProgress() | ModelReady() | LoadFailed():
                self._route_load(event)
            case EngineLost():
                raise FrameError("a worker cannot be its own witness")
            case _:
                request = self._requests.get(event.request_id)
                if request and request.mailbox:
                    request.mailbox.put(event)
                if request and isinstance(event, RequestEnd):
                    _cancel(self._requests.pop(event.request_id).deadline)

    def _greet(self, hello: Hello) -> None:
        if hello.protocol != PROTOCOL_VERSION:
            self.kill(f"speaks protocol {hello.protocol}, this app {PROTOCOL_VERSION}: reinstall tokscope")
            return
        self.hello = hello
        self._greeted.set()

    def _route_load(self, event: LoadProgress | ModelReady | LoadFailed) -> None:
        if not self._loads:
            return
        load = self._loads[0]
        if not isinstance(event, LoadProgress):
            self._loads.popleft()
            _cancel(load.deadline)
            if isinstance(event, ModelReady):
                self.model, self.loaded = event, load.command
            if not self._loads:
                self._idle.set()
        if load.mailbox:
            load.mailbox.put(event)

    def _lose(self, exit_code: int | None) -> None:
        if self.lost:
            return
        reason = self._verdict or ("cannot be killed" if exit_code is None else describe_exit(exit_code))
        self.lost = EngineLost(exit_code, reason, self._process.log_tail())
        self.model = None
        for waiting in (*self._requests.values(), *self._loads):
            _cancel(waiting.deadline)
            if waiting.mailbox:
                waiting.mailbox.put(self.lost)
        self._requests.clear()
        self._loads.clear()
        for event in (self._greeted, self._idle, self._gone):
            event.set()
        self._on_lost(self)


def _cancel(deadline: asyncio.TimerHandle | None) -> None:
    if deadline:
        deadline.cancel()
