"""The connection to one worker, from Hello to exit: sends commands and routes events to their readers.

Enforces the protocol and its deadlines; `app.client.worker_client` restarts workers. Runs in one event loop;
`WorkerProcess` calls in from its threads through `call_soon_threadsafe`.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from app.client.engine import Stall
from app.client.liveness import TICK_S, Liveness
from app.client.mailbox import SPARE, Backlog, Mailbox, Request, RequestEnd, most_for, weight
from app.client.process import WorkerProcess, describe_exit
from app.protocol.codec import FrameError, encode, event_decoder
from app.protocol.commands import Abort, CancelLoad, Command, Forget, LoadModel, Pause, Ping, Resume, Shutdown
from app.protocol.events import (
    PROTOCOL_VERSION,
    EngineLost,
    Event,
    Hello,
    LoadEvent,
    LoadFailed,
    LoadProgress,
    ModelReady,
    Pong,
)

_MAX_CHUNKS = 16
"""Chunks that may be queued from the reading thread to the event loop: 1 MiB."""


@dataclass(frozen=True, kw_only=True)
class Graces:
    """Time limits in seconds after which a worker counts as hung."""

    hello_s: float = 30.0
    abort_s: float = 1.5
    cancel_load_s: float = 5.0
    exit_s: float = 2.0
    """For each of: exit after Shutdown, exit after SIGTERM, exit after SIGKILL."""
    quiet_start_s: float = 12.0
    """Before Hello: silence after which a start counts as stalled (`Stall`)."""
    silent_s: float = 4.0
    """Silence of the whole process after which it counts as stalled."""
    still_s: float = 30.0
    """Time without progress after which a process that still answers counts as stalled."""


@dataclass(eq=False)
class _Load:
    command: LoadModel
    mailbox: Mailbox[LoadEvent] | None
    """None once nobody reads it."""
    deadline: asyncio.TimerHandle | None = None
    n_left: int = SPARE
    """How many more units the worker may send for it."""


@dataclass(eq=False)
class _Request:
    mailbox: Mailbox[Any] | None
    n_left: float
    """How many more units (see `weight`) the worker may send for it."""
    deadline: asyncio.TimerHandle | None = None


class Connection:
    """A worker, alive or dead.

    Attributes:
        hello: its first event; None until it arrives.
        model: the loaded model.
        loaded: the command that loaded `model`; kept after the worker's death.
        lost: how it ended; None while it is alive.
        condemned: whether it is being ended by force; its output is then ignored.
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
        self._wished = False
        self.condemned = False
        self._liveness = Liveness(graces.quiet_start_s, graces.silent_s, graces.still_s)
        self._ticking: asyncio.TimerHandle | None = None
        self._ticked_s = 0.0
        self._backlog = Backlog(self._read_on)
        self._n_withheld = 0
        """Chunks handled while the backlog is full; holding their permits stops further reading from the pipe."""
        self._n_stray = 0
        self._greeted = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._gone = asyncio.Event()
        self._room = threading.Semaphore(_MAX_CHUNKS)
        process.attach(self._hand_over, lambda code: self._from_thread(self._lose, code))
        self._watch()

    @property
    def loading(self) -> bool:
        """Whether a load is in progress."""
        return bool(self._loads)

    @property
    def stall(self) -> Stall | None:
        """Set while it owes an answer and shows no progress."""
        return None if self.lost else self._liveness.stall

    async def gone(self) -> None:
        """Waits for its exit."""
        await self._gone.wait()

    async def greeted(self) -> Hello | EngineLost:
        """Waits for the worker's Hello; a worker that does not send it in time is killed."""
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
        mailbox: Mailbox[LoadEvent] = Mailbox(self._backlog)
        if self.lost:
            mailbox.put(self.lost)
            return mailbox
        self.model = self.loaded = None
        self._loads.append(_Load(command, mailbox))
        self._idle.clear()
        self._send(command)
        self._watch()
        return mailbox

    def leave_load(self, mailbox: Mailbox[LoadEvent]) -> None:
        """Stops reading `mailbox`; cancels the load if it still runs."""
        for load in self._loads:
            if load.mailbox is mailbox:
                load.mailbox = None
                if self.stall:
                    self.kill("did not answer", wished=True)
                    return
                load.deadline = self._deadline(self._graces.cancel_load_s, "did not cancel a load")
                self._send(CancelLoad())

    def request(self, command: Request) -> Mailbox[Any]:
        """Sends a request; its events come to the mailbox returned. Raises FrameError if it is too long to send."""
        mailbox: Mailbox[Any] = Mailbox(self._backlog)
        if self.lost:
            mailbox.put(self.lost)
            return mailbox
        self._send(command)
        n_ctx = self.model.n_ctx if self.model else 0
        self._requests[command.request_id] = _Request(mailbox, most_for(command, n_ctx))
        self._watch()
        return mailbox

    def steer(self, command: Pause | Resume) -> None:
        """Sends a command for a running request; does nothing if it has ended. Raises FrameError as `request` does."""
        if command.request_id in self._requests:
            self._send(command)

    def forget(self, conversations: tuple[int, ...]) -> None:
        """Sends `Forget`."""
        self._send(Forget(conversations))

    def leave_request(self, request_id: int) -> None:
        """Stops reading a request: aborts it if it still runs, and drops its remaining events."""
        if request := self._requests.get(request_id):
            request.mailbox = None
            self.abort(request_id)

    def abort(self, request_id: int) -> None:
        """Aborts a request; a worker that does not obey in time is killed."""
        request = self._requests.get(request_id)
        if request and not request.deadline:
            request.deadline = self._deadline(self._graces.abort_s, "did not stop")
            self._send(Abort(request_id))

    def kill(self, verdict: str, *, wished: bool = False) -> None:
        """Kills the worker; `verdict` and `wished` go into its EngineLost."""
        if not self.condemned:
            self._verdict = self._verdict or verdict
            self._wished = wished
        self.condemned = True
        self._process.kill()
        self._read_on()
        # A process stuck in the kernel may outlive SIGKILL; do not wait for it.
        self._loop.call_later(self._graces.exit_s, self._lose, None)

    async def close(self) -> None:
        """Ends the worker: by Shutdown, then by SIGTERM, then by SIGKILL. Returns when it is reaped."""
        self._verdict = self._verdict or "closed"
        if not self.lost:
            self._send(Shutdown())
        self._process.close_input()
        if self.stall:  # it would never exit
            self._process.kill()
        for force in (self._process.terminate, self._process.kill, lambda: self._lose(None)):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._gone.wait(), self._graces.exit_s)
                return
            force()

    def _send(self, command: Command) -> None:
        self._process.send(encode(command))

    def _deadline(self, seconds: float, fault: str) -> asyncio.TimerHandle:
        verdict = f"{fault} within {seconds:g} s"
        return self._loop.call_later(seconds, lambda: self.kill(verdict, wished=True))

    def _from_thread(self, call: Callable[..., None], *args: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: the app is exiting
            self._loop.call_soon_threadsafe(call, *args)

    def _hand_over(self, chunk: bytes) -> None:
        # On the reading thread: waits until earlier chunks were handled, or the loop is closed.
        self._room.acquire()
        self._from_thread(self._receive, chunk)

    def _receive(self, chunk: bytes) -> None:
        self._n_withheld += 1
        if not self.condemned:
            self._liveness.heard()
            self._take(chunk)
        if self.condemned or not self._backlog.full:
            self._read_on()

    def _take(self, chunk: bytes) -> None:
        failure = None
        try:
            events = self._decoder.feed(chunk)
        except FrameError as error:
            events, failure = error.before, error
        try:
            for event in events:
                self._route(event)
        except FrameError as error:
            failure = error
        if failure:
            self.kill(f"broke the protocol: {failure}")

    def _read_on(self) -> None:
        if self._n_withheld:
            self._room.release(self._n_withheld)
            self._n_withheld = 0

    def _watch(self) -> None:
        """Watches for signs of life as long as the worker owes an answer."""
        if self._ticking is None:
            self._ticked_s = self._loop.time()
            self._ticking = self._loop.call_later(TICK_S, self._tick)

    def _tick(self) -> None:
        self._ticking = None
        if self.lost or (self.hello and not self._requests and not self._loads):
            self._liveness.rest()
            return
        asks = self._liveness.tick(self._loop.time() - self._ticked_s)
        if self._backlog.full:  # its answer may be in the unread backlog
            self._liveness.heard()
        if asks:
            self._send(Ping())
        self._watch()

    def _route(self, event: Event) -> None:
        if (self.hello is None) != isinstance(event, Hello):
            raise FrameError(f"{type(event).__name__} out of order")
        match event:
            case Pong(still_s):
                self._liveness.answered(still_s)
            case Hello():
                self._greet(event)
            case LoadProgress() | ModelReady() | LoadFailed():
                self._route_load(event)
            case EngineLost():
                raise FrameError("EngineLost from a worker")
            case _:
                self._route_request(event.request_id, event)

    def _route_request(self, request_id: int, event: Event) -> None:
        request = self._requests.get(request_id)
        if request is None:
            self._n_stray += 1
            if self._n_stray > SPARE:
                raise FrameError("too many events of requests that have ended")
            return
        request.n_left -= weight(event)
        if request.n_left < 0:
            raise FrameError("more events than the request allows")
        if request.mailbox:
            request.mailbox.put(event)
        if isinstance(event, RequestEnd):
            _cancel(self._requests.pop(request_id).deadline)

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
        load.n_left -= 1
        if load.n_left < 0:
            raise FrameError("more events than a load allows")
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
        self.lost = EngineLost(exit_code, reason, self._process.log_tail(), self._wished)
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
