"""The worker: takes commands, turns the loop, sends events. Knows both sides of a request, the ids and the text."""

from __future__ import annotations

import os
import threading
import time

import msgspec

from app.domain.generation import FinishReason, Timings, Usage
from app.domain.sampling import SamplingParams
from app.engine.bench import run_bench
from app.engine.branches import Branches
from app.engine.core.backend import ComputeError
from app.engine.core.happenings import Finished, Happening, Prefilled, Sampled, Started
from app.engine.core.scheduler import Scheduler
from app.engine.core.sequence import Sequence
from app.engine.inbox import Inbox
from app.engine.native import library
from app.engine.native.context import ContextError, NativeContext
from app.engine.native.drafting import DraftModel
from app.engine.native.loader import Loaded, describe, load
from app.engine.native.model import LoadCancelled, LoadError
from app.engine.outbox import Outbox
from app.engine.reply import Reply
from app.engine.text.prompt import PromptBuilder
from app.engine.text.renderer import Renderer
from app.engine.text.template import ChatTemplate
from app.protocol.commands import Abort, Bench, CancelLoad, Command, Generate, LoadModel, Shutdown
from app.protocol.events import (
    PROTOCOL_VERSION,
    GenerationFinished,
    Hello,
    LoadFailed,
    LoadProgress,
    PrefillProgress,
)

EXIT_COMPUTE_FAILED = 70
CHATML_END = "<|im_end|>"
_PROGRESS_STEP = 0.01


class Worker:
    """One process, one model at a time."""

    def __init__(self, in_fd: int, out_fd: int) -> None:
        self._outbox = Outbox(out_fd)
        self._cancel_load = threading.Event()
        self._stop_bench = threading.Event()
        self._loaded: Loaded | None = None
        self._scheduler: Scheduler | None = None
        self._branches: Branches | None = None
        self._draft: DraftModel | None = None
        self._prompts: PromptBuilder | None = None
        self._is_fallback = False
        self._load_ms = 0.0
        self._replies: dict[int, Reply] = {}
        self._renderer = Renderer()
        self._renderer.start()  # has its process ready by the time the model is loaded
        library.start()
        self._inbox = Inbox(in_fd, self._urgent)

    def run(self) -> int:
        """Serves until shutdown or until the app has gone. Returns the process's exit code."""
        hello = Hello(PROTOCOL_VERSION, os.getpid(), library.build(), library.devices())
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
            self._unload()

    def _serve(self) -> bool:
        """One turn: commands, then one step of the loop. False ends the worker."""
        idle = all(scheduler.idle for scheduler in self._schedulers())
        if idle:
            self._rest()
        for command in self._inbox.take(wait=idle):
            if isinstance(command, Shutdown):
                return False
            self._handle(command)
        for scheduler in self._schedulers():
            for happening in scheduler.step() if not scheduler.idle else ():
                self._report(happening)
            self._outbox.flush()
        return True

    def _schedulers(self) -> list[Scheduler]:
        branches = self._branches.scheduler if self._branches else None
        return [scheduler for scheduler in (self._scheduler, branches) if scheduler]

    def _rest(self) -> None:
        """What is done when nothing is: everything is sent and the account of cells is checked."""
        self._outbox.drain()
        for scheduler in self._schedulers():
            for wrong in scheduler.check_integrity():
                os.write(2, f"integrity: {wrong}\n".encode())

    def _urgent(self, command: Command) -> None:
        """From the inbox's thread: stops what is being computed, so that the loop sees the command soon."""
        if isinstance(command, CancelLoad | Shutdown):
            self._cancel_load.set()
        if isinstance(command, Abort | Shutdown):
            self._stop_bench.set()
            for context in self._contexts():
                context.raise_abort()

    def _contexts(self) -> list[NativeContext]:
        owners = (self._loaded, self._branches, self._draft)
        return [owner.context for owner in owners if owner]

    def _handle(self, command: Command) -> None:
        match command:
            case LoadModel():
                self._load(command)
            case Generate():
                self._generate(command)
            case Abort(request_id):
                self._stop_bench.clear()
                for context in self._contexts():
                    context.clear_abort()
                reply = self._replies.get(request_id)
                if reply:
                    reply.sequence.finish(FinishReason.ABORT)
            case Bench():
                run_bench(command, self._loaded, self._outbox.send, self._stop_bench.is_set)
            case CancelLoad():
                self._cancel_load.clear()  # the load that it meant is over
            case Shutdown():
                return

    def _load(self, command: LoadModel) -> None:
        for reply in list(self._replies.values()):
            self._fail(reply.sequence.request_id, "the model was replaced")
        self._unload()
        self._cancel_load.clear()
        began, told = time.perf_counter(), 0.0

        def progress(fraction: float) -> bool:
            nonlocal told
            if fraction - told >= _PROGRESS_STEP or fraction >= 1.0:
                told = fraction
                self._outbox.send(LoadProgress(fraction))
            return not self._cancel_load.is_set()

        try:
            loaded = load(command.path, command.options, progress, command.sizes)
        except LoadCancelled:
            self._outbox.send(LoadFailed("the load was cancelled", cancelled=True))
            return
        except (LoadError, ComputeError) as error:
            hint = "try a smaller context (n_ctx), fewer GPU layers or a smaller model" if "alloc" in str(error) else ""
            self._outbox.send(LoadFailed(str(error), hint))
            return
        override = command.options.chat_template
        template = ChatTemplate(loaded.model.chat_template, loaded.model.vocab, override, self._renderer)
        loaded.notices += template.notices
        try:
            draft = command.options.draft and DraftModel(
                command.options.draft, loaded.model, loaded.context, command.options
            )
        except LoadError as error:
            loaded.close()
            self._outbox.send(LoadFailed(str(error), "choose a draft model of the same family, or none"))
            return
        self._draft = draft or None
        self._is_fallback = template.is_fallback
        self._loaded = loaded
        self._prompts = PromptBuilder(loaded.model.vocab, template)
        drafter = {"drafter": self._draft.drafter} if self._draft else {}
        self._scheduler = Scheduler(loaded.context, **drafter)
        self._load_ms = (time.perf_counter() - began) * 1e3
        self._outbox.send(describe(loaded, command.path, self._load_ms))

    def _unload(self) -> None:
        loaded, self._loaded = self._loaded, None
        branches, self._branches = self._branches, None
        draft, self._draft = self._draft, None
        self._scheduler = self._prompts = None
        self._replies.clear()
        if branches:
            branches.context.close()
        if draft:
            draft.close()
        if loaded:
            loaded.close()

    def _generate(self, command: Generate) -> None:
        arrived = time.perf_counter()
        if not (self._loaded and self._scheduler and self._prompts):
            self._fail(command.request_id, "no model is loaded")
            return
        prompt = self._prompts.build(command.messages)
        sampling = self._with_fallback_stop(command.sampling)
        sequence = Sequence(
            command.request_id,
            prompt.ids,
            sampling,
            command.trace_top_k,
            arrived,
            speculate=command.speculate or self._draft is not None,
            trace_stages=command.trace_stages,
        )
        self._replies[command.request_id] = Reply(sequence, prompt, self._loaded.model.vocab)
        (self._branching(self._loaded.context) if command.branch else self._scheduler).submit(sequence)

    def _branching(self, context: NativeContext) -> Scheduler:
        """The scheduler of the branches, made when first needed; the usual one where memory does not allow it."""
        if self._branches is None:
            try:
                self._branches = Branches(context)
            except ContextError as error:
                os.write(2, f"no context for branches: {error}\n".encode())
                assert self._scheduler is not None
                return self._scheduler
        return self._branches.scheduler

    def _with_fallback_stop(self, sampling: SamplingParams) -> SamplingParams:
        """Where ChatML stands in for a missing template, the model may have to spell its end of turn."""
        if not self._is_fallback:
            return sampling
        return msgspec.structs.replace(sampling, stop=(*sampling.stop, CHATML_END))

    def _fail(self, request_id: int, error: str) -> None:
        self._replies.pop(request_id, None)
        self._outbox.send(GenerationFinished(request_id, FinishReason.ERROR, Usage(), Timings(), error=error))

    def _report(self, happening: Happening) -> None:
        sequence = happening.sequence
        request_id = sequence.request_id
        match happening:
            case Started():
                self._outbox.send(self._replies[request_id].started())
            case Prefilled(_, n_done, ms):
                self._outbox.send(PrefillProgress(request_id, n_done, sequence.n_new, ms))
            case Sampled():
                self._sampled(self._replies[request_id], happening)
            case Finished():
                self._finished(self._replies.pop(request_id))

    def _sampled(self, reply: Reply, sampled: Sampled) -> None:
        if reply.stop is not None:  # one step can bring more tokens than the reply has
            return
        text = reply.push(sampled)
        self._outbox.tokens(reply.sequence.request_id, text, reply.trace(sampled))
        if reply.stop is not None and reply.stop.kind == "string":
            reply.sequence.cut(reply.n_tokens)
            reply.sequence.finish(FinishReason.STOP)

    def _finished(self, reply: Reply) -> None:
        sequence = reply.sequence
        rest = reply.flush()
        if rest:
            self._outbox.tokens(sequence.request_id, rest, None)
        if self._prompts and reply.text:
            eog = self._scheduler.backend.eog if self._scheduler else frozenset[int]()
            self._prompts.remember(reply.text, [token for token in sequence.generated if token not in eog])
        self._outbox.send(reply.finished(time.perf_counter(), self._load_ms))
        self._load_ms = 0.0
