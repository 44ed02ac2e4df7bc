"""The worker: takes commands, runs the loop, sends events. Connects the ids and the text of a request."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path

from app.domain.generation import FinishReason, Timings, Usage
from app.domain.sampling import needs_grammar
from app.engine.core.backend import ComputeError
from app.engine.core.events import (
    Blocked,
    CellMapChanged,
    Finished,
    Held,
    Prefilled,
    Sampled,
    Shifted,
    Started,
    StepEvent,
)
from app.engine.kv.file import kv_folder, remove_states
from app.engine.native import library
from app.engine.native.devices import list_devices
from app.engine.native.model import LoadCancelled, LoadError
from app.engine.process.inbox import Inbox
from app.engine.process.outbox import Outbox
from app.engine.process.vitals import Vitals
from app.engine.requests.background import Background, Then
from app.engine.requests.prompting import Fitted, TooLongError, UnknownTokenError
from app.engine.requests.queries import LONG, QueryRunner, run_bench
from app.engine.requests.reply import Reply
from app.engine.requests.service import ModelService
from app.engine.text.renderer import Renderer
from app.protocol.commands import (
    Abort,
    Bench,
    CancelLoad,
    Command,
    Forget,
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
    CellsReported,
    ContextShifted,
    ContextTrimmed,
    GenerationFinished,
    Hello,
    LoadFailed,
    LoadProgress,
    Pong,
    PrefillProgress,
    SlotsHeld,
)

EXIT_COMPUTE_FAILED = 70
_PROGRESS_STEP = 0.01
_REPLACED = "the model was replaced"
_TEXT_S = 0.1
"""How long the worker's exit waits for the tokenisation of an abandoned text."""


class Worker:
    """One process, one model at a time."""

    def __init__(self, in_fd: int, out_fd: int, cache: Path | None = None) -> None:
        """`cache` is the folder for saved states; None saves none."""
        self._outbox = Outbox(out_fd)
        self._cache = cache
        self._vitals = Vitals()
        self._cancel_load = threading.Event()
        self._stop_bench = threading.Event()
        self._host: ModelService | None = None
        self._replies: dict[int, Reply] = {}
        self._questions = QueryRunner(self._outbox.send, lambda: self._inbox.wake())
        self._preparing = Background(lambda: self._inbox.wake())
        """Requests whose grammar compiles or whose long text is tokenised in the background."""
        self._unprepared: set[int] = set()
        self._renderer = Renderer()
        library.start()
        self._inbox = Inbox(in_fd, self._announce, self._interrupt)

    def run(self) -> int:
        """Serves until Shutdown or the end of stdin. Returns the exit code."""
        hello = Hello(PROTOCOL_VERSION, os.getpid(), library.build(), list_devices())
        try:
            self._outbox.send(hello)
            while self._serve():
                pass
            return 0
        except BrokenPipeError:
            return 0
        except ComputeError:
            return EXIT_COMPUTE_FAILED
        finally:
            self._renderer.close()
            if self._questions.at_rest(_TEXT_S) and self._preparing.wait(_TEXT_S):
                self._unload()
            elif self._host:  # a thread still reads the vocabulary: the end of the process frees it
                self._host.save()

    def _serve(self) -> bool:
        """Handles commands, then runs one step of the loop. Returns False to exit."""
        schedulers = self._host.schedulers if self._host else []
        idle = self._questions.idle and all(scheduler.idle for scheduler in schedulers)
        if idle:
            self._rest()
            self._vitals.rest()
        for command in self._inbox.take(wait=idle):
            if isinstance(command, Shutdown):
                return False
            self._vitals.step()
            self._handle(command)
        for scheduler in self._host.schedulers if self._host else ():
            for event in scheduler.step() if not scheduler.idle else ():
                self._report(event)
            self._outbox.flush()
            self._vitals.step()
        self._questions.step()
        self._preparing.take()
        return True

    def _rest(self) -> None:
        """Sends everything and checks slots against the KV cache, when idle."""
        self._outbox.drain()
        for scheduler in self._host.schedulers if self._host else ():
            for wrong in scheduler.check_integrity():
                os.write(2, f"integrity: {wrong}\n".encode())

    def _announce(self, command: Command) -> None:
        """On the inbox's thread: sets flags that handling the command clears, so it must run before."""
        if isinstance(command, Ping):
            with suppress(BrokenPipeError):  # the loop sees the end of its input itself
                self._outbox.send_aside(Pong(self._vitals.still_s()))
        if isinstance(command, CancelLoad | Shutdown):
            self._cancel_load.set()
        if isinstance(command, Abort | Shutdown):
            self._stop_bench.set()

    def _interrupt(self, command: Command) -> None:
        """On the inbox's thread: stops a running decode; a batch of other requests is recomputed."""
        if isinstance(command, Abort | Shutdown):
            host = self._host
            for context in host.contexts if host else ():
                context.raise_abort()

    def _handle(self, command: Command) -> None:
        match command:
            case LoadModel():
                self._load(command)
            case Generate():
                self._generate(command)
            case Abort(request_id):
                self._abort(request_id)
            case Pause() | Resume():
                self._steer(command)
            case Tokenize() | Predict() | Score():
                self._questions.ask(command, self._host)
            case Forget(conversations):
                self._forget(conversations)
            case Bench():
                run_bench(command, self._host and self._host.loaded, self._outbox.send, self._stop_bench.is_set)
            case CancelLoad():
                self._cancel_load.clear()  # its load has ended
            case Ping() | Shutdown():
                return

    def _abort(self, request_id: int) -> None:
        self._stop_bench.clear()
        for context in self._host.contexts if self._host else ():
            context.clear_abort()
        if reply := self._replies.get(request_id):
            reply.sequence.finish(FinishReason.ABORT)
        elif request_id in self._unprepared:
            self._preparing.give_up(request_id)
            self._unsubmitted(request_id, FinishReason.ABORT)
        self._questions.abort(request_id)

    def _forget(self, conversations: tuple[int, ...]) -> None:
        if self._host:
            self._host.forget(conversations)
        elif self._cache:
            remove_states(kv_folder(self._cache), conversations)

    def _steer(self, command: Pause | Resume) -> None:
        reply = self._replies.get(command.request_id)
        if reply and isinstance(command, Pause):
            reply.sequence.pause()
        elif reply and self._host and isinstance(command, Resume):
            reply.busy_ms = self._outbox.busy_ms
            if reply.sequence.waits and reply.sequence.sampler:
                reply.sequence.sampler.unban(command.unban_ids)
            self._host.resume(reply, command)

    def _load(self, command: LoadModel) -> None:
        self._questions.end(_REPLACED)
        for reply in self._replies.values():
            reply.sequence.finish(FinishReason.ERROR, error=_REPLACED)
            if reply.sequence.sampler:
                reply.sequence.sampler.close()
            self._finished(reply)
        for request_id in list(self._unprepared):
            self._preparing.give_up(request_id)
            self._unsubmitted(request_id, FinishReason.ERROR, _REPLACED)
        self._unload()
        self._renderer.start()  # its process is ready by the time the model is loaded
        reported = 0.0

        def progress(fraction: float) -> bool:
            nonlocal reported
            self._vitals.step()
            if fraction - reported >= _PROGRESS_STEP or fraction >= 1.0:
                reported = fraction
                self._outbox.send(LoadProgress(fraction))
            return not self._cancel_load.is_set()

        try:
            self._host = ModelService(command, progress, self._renderer, self._cache)
        except LoadCancelled:
            self._outbox.send(LoadFailed("the load was cancelled", cancelled=True))
        except (LoadError, ComputeError) as error:
            hint = "try a smaller context (n_ctx), fewer GPU layers or a smaller model" if "alloc" in str(error) else ""
            self._outbox.send(LoadFailed(str(error), hint))
        else:
            self._outbox.share(self._host.ready.on_cpu)
            self._outbox.send(self._host.ready)

    def _unload(self) -> None:
        self._questions.at_rest()
        self._preparing.wait()
        host, self._host = self._host, None
        self._replies.clear()
        if host:
            host.close()

    def _generate(self, command: Generate) -> None:
        request_id, host, arrived_s = command.request_id, self._host, time.perf_counter()
        if host is None:
            self._unsubmitted(request_id, FinishReason.ERROR, "no model is loaded")
            return

        def prepare() -> Then:
            try:
                notices = host.prepare(command.sampling) if needs_grammar(command.sampling) else ()
                fitted = host.fitted(command)
            except TooLongError as error:
                why = str(error)
                return lambda: self._unsubmitted(request_id, FinishReason.CONTEXT, why)
            return lambda: self._submit(host, command, arrived_s, fitted, notices)

        def failed(error: str) -> None:
            self._unsubmitted(request_id, FinishReason.ERROR, error)

        n_characters = sum(len(message.content) for message in command.messages)
        if needs_grammar(command.sampling) or n_characters > LONG:
            self._unprepared.add(request_id)
            self._preparing.start(request_id, prepare, failed)
            return
        try:
            prepare()()
        except UnknownTokenError as error:
            failed(str(error))

    def _submit(
        self, host: ModelService, command: Generate, arrived_s: float, fitted: Fitted, notices: tuple[str, ...]
    ) -> None:
        request_id = command.request_id
        self._unprepared.discard(request_id)
        self._replies[request_id] = host.submit(command, arrived_s, fitted, notices)
        if fitted.n_messages:
            self._outbox.send(ContextTrimmed(request_id, fitted.n_messages, fitted.n_tokens))

    def _unsubmitted(self, request_id: int, reason: FinishReason, error: str = "") -> None:
        """Ends a request that the loop does not have."""
        self._unprepared.discard(request_id)
        self._outbox.send(GenerationFinished(request_id, reason, Usage(), Timings(), error=error))

    def _report(self, event: StepEvent) -> None:
        sequence = event.sequence
        request_id = sequence.request_id
        if self._questions.take(event):
            return
        match event:
            case Started():
                self._started(self._replies[request_id])
            case Prefilled(_, n_done, ms):
                self._outbox.send(PrefillProgress(request_id, n_done, sequence.n_new, ms))
            case Sampled():
                self._sampled(self._replies[request_id], event)
            case Held():
                self._outbox.send(self._replies[request_id].paused(event))
            case Shifted(_, n_kept, n_discarded):
                self._outbox.send(ContextShifted(request_id, n_kept, n_discarded))
            case Blocked(_, held_by):
                self._outbox.send(SlotsHeld(request_id, held_by))
            case CellMapChanged(_, cells):
                self._outbox.send(CellsReported(request_id, cells))
            case Finished():
                self._finished(self._replies.pop(request_id))

    def _started(self, reply: Reply) -> None:
        reply.busy_ms = self._outbox.busy_ms
        self._outbox.send(reply.started())
        if reply.include_prompt and self._host:
            self._outbox.send(self._host.rendered(reply))

    def _sampled(self, reply: Reply, sampled: Sampled) -> None:
        if reply.stop is not None:  # one step can bring more tokens than the reply has
            return
        text, trace = reply.take(sampled, self._outbox.busy_ms)
        self._outbox.tokens(reply.sequence.request_id, text, trace, reply.thinking)
        if reply.stop is not None and reply.stop.kind == "string":
            reply.sequence.stop_at(reply.n_tokens)

    def _finished(self, reply: Reply) -> None:
        sequence = reply.sequence
        known, rest = reply.thinking, reply.flush()
        if rest or reply.thinking != known:
            self._outbox.tokens(sequence.request_id, rest, None, reply.thinking)
        assert self._host is not None
        self._host.remember(reply)
        self._outbox.send(reply.finished(time.perf_counter(), self._host.load_ms))
        self._host.load_ms = 0.0
