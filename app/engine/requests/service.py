"""A loaded model with its contexts, schedulers, draft model and prompts."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

import msgspec

from app.domain.generation import FinishReason
from app.domain.sampling import SamplingParams
from app.engine.core.backend import SamplingError
from app.engine.core.scheduler import Scheduler, look_up
from app.engine.core.sequence import CacheFacts, HoldState, Sequence
from app.engine.core.thinking import ThinkingBlock
from app.engine.kv.file import kv_folder
from app.engine.kv.store import KvStore, state_key
from app.engine.native import library
from app.engine.native.context import ContextError, NativeContext
from app.engine.native.drafting import DraftModel
from app.engine.native.loader import LoadedModel, describe, load
from app.engine.native.model import LoadError
from app.engine.native.stages import ban_notices
from app.engine.requests.prompting import Fitted, UnknownTokenError, check_ids, check_size, prepare
from app.engine.requests.reply import Reply
from app.engine.text.prompt import Prompt, PromptBuilder
from app.engine.text.renderer import Renderer
from app.engine.text.template import ChatTemplate
from app.engine.text.thinking import begins_inside, reply_format
from app.engine.text.thinking_finder import ThinkingFinder
from app.engine.text.tokenizer import Tokenizer, piece_text
from app.protocol.commands import Generate, LoadModel, Resume, Tokenize
from app.protocol.events import ModelReady, PromptFit, PromptRendered

MAX_PARALLEL = 16


class ParallelContext:
    """A second context, whose sequences share the cells of their common prefix."""

    def __init__(self, beside: NativeContext, main: Scheduler) -> None:
        """`main`: the scheduler of the context `beside`. Raises ContextError if memory is short."""
        self.context = beside.sharing(MAX_PARALLEL)
        self.scheduler = Scheduler(self.context)
        self.scheduler.reuse.link_peer(main.reuse)


CHATML_END = "<|im_end|>"
_SAVE_S = 0.8
"""Less than the second that a worker has to exit after the end of its input."""


class ModelService:
    """Owns all native objects of one model."""

    def __init__(
        self, command: LoadModel, progress: Callable[[float], bool], renderer: Renderer, cache: Path | None = None
    ) -> None:
        """Loads the model; `cache` is the folder for saved states, None saves none.

        Raises LoadError (LoadCancelled if `progress` returned False) and ComputeError.
        """
        began = time.perf_counter()
        options = command.options
        self.loaded = loaded = load(command.path, options, progress, command.sizes)
        self._draft: DraftModel | None = None
        self._parallel: ParallelContext | None = None
        self._scoring: list[NativeContext] = []
        self._store: KvStore | None = None
        try:
            source, variables = loaded.model.chat_template, options.template_variables
            override, vocab = options.chat_template, loaded.model.vocab
            template = ChatTemplate(source, vocab, renderer, override=override, variables=variables)
            if options.draft:
                self._draft = DraftModel(options.draft, loaded, options)
        except LoadError:
            self.close()
            raise
        loaded.notices += template.notices
        self._is_fallback = template.is_fallback
        replies = reply_format(template.evidence, vocab, options.thinking)
        vocab.show(replies.visible_tokens(Tokenizer(vocab), vocab))
        self._replies = replies
        self.prompts = PromptBuilder(vocab, template, replies)
        drafter = self._draft.drafter if self._draft else look_up
        self._store = _open_store(cache, command.path, loaded)
        self._scheduler = Scheduler(loaded.context, drafter=drafter, archive=self._store)
        self.load_ms = (time.perf_counter() - began) * 1e3
        """Load time, reported with the first request and 0 after it."""
        self.ready: ModelReady = describe(loaded, command.path, self.load_ms, command.sizes)

    @property
    def schedulers(self) -> list[Scheduler]:
        """The schedulers that may have work."""
        return [self._scheduler, self._parallel.scheduler] if self._parallel else [self._scheduler]

    @property
    def contexts(self) -> list[NativeContext]:
        """All contexts, for their abort flags."""
        owners = (self.loaded, self._parallel, self._draft)
        return [*(owner.context for owner in owners if owner), *self._scoring]

    def prepare(self, sampling: SamplingParams) -> tuple[str, ...]:
        """Compiles the grammar of a request ahead of it; returns notices for the user.

        May take a second; independent of the loop. Raises SamplingError.
        """
        return self.loaded.model.grammars.prepare(sampling)

    def submit(
        self, command: Generate, arrived_s: float, fitted: Fitted | None = None, notices: Collection[str] = ()
    ) -> Reply:
        """Queues a request with the prompt from `fitted`, or builds it now; raises as `fitted` does.

        `notices` are sent with its GenerationStarted.
        """
        vocab, can_shift = self.loaded.model.vocab, self._can_shift
        fitted = fitted or self.fitted(command)
        prompt = fitted.prompt
        inside = begins_inside(prompt.ids[: len(prompt.ids) - prompt.n_kept], vocab, self._replies.marks)
        sequence = Sequence(
            command.request_id,
            prompt.ids,
            self._with_fallback_stop(command.sampling),
            command.trace_top_k,
            arrived_s,
            speculate=self._draft is not None if command.speculate is None else command.speculate,
            trace_stages=command.trace_stages,
            spans=prompt.spans,
            shift=command.context_policy == "shift" and can_shift and not command.shares_prefix,
            cache=CacheFacts(cacheable=command.cacheable, conversation=command.conversation),
            held=HoldState(command.n_steps),
            n_kept=prompt.n_kept,
            block=ThinkingBlock(self._replies.marks, vocab.named_pieces, inside=inside),
        )
        sequence.cache.notices += notices
        with suppress(SamplingError):  # the sampler reports the error
            sequence.cache.notices += ban_notices(self.loaded.model, command.sampling)
        if self._store and command.conversation:
            self._store.remember(command.conversation)
        reply = Reply(
            sequence, fitted, vocab, finder=self._finder(command, prompt, inside), include_prompt=command.include_prompt
        )
        if command.reply_text:
            begins = reply.at_start and not command.sampling.force
            sequence.forced += self.prompts.content_ids(command.reply_text, continued=not begins)
        (self._parallel_scheduler() if command.shares_prefix else self._scheduler).submit(sequence)
        return reply

    def _finder(self, command: Generate, prompt: Prompt, inside: bool) -> ThinkingFinder | None:
        """A model without known marks thinks only if the prompt or the given beginning of the reply opens a block."""
        vocab = self.loaded.model.vocab
        kept = "".join(piece_text(vocab, token) for token in prompt.ids[len(prompt.ids) - prompt.n_kept :])
        begun = "".join((kept, command.reply_text, *command.sampling.force)).lstrip()
        if self._replies.known or inside or begun.startswith(self._replies.opening):
            return ThinkingFinder(self._replies, inside=inside)
        return None

    def fit(self, command: Tokenize) -> PromptFit:
        """Returns how the prompt of a request would fit, without queueing it."""
        sampling, policy = SamplingParams(max_tokens=command.max_tokens), command.context_policy
        fitted = self._fitted(Generate(command.request_id, command.messages, sampling, context_policy=policy))
        shifts = policy == "shift" and self._can_shift
        return PromptFit(fitted.prompt.spans, fitted.n_messages, fitted.n_tokens, shifts)

    def fitted(self, command: Generate) -> Fitted:
        """Returns the prompt of a request; slow for a long text, and independent of the loop's thread.

        Raises UnknownTokenError, TooLongError.
        """
        check_size(command, self.loaded.model.vocab, self.loaded.context.n_ctx)
        return self._fitted(command)

    def _fitted(self, command: Generate) -> Fitted:
        loaded = self.loaded
        return prepare(command, self.prompts, loaded.model.vocab, loaded.context.n_ctx, self._can_shift)

    @property
    def _can_shift(self) -> bool:
        # Tokens forgotten by a shift could not be recomputed after an abort.
        return self.loaded.context.can_shift and self.loaded.context.partial_removal

    def resume(self, reply: Reply, command: Resume) -> None:
        """Resumes a held request by a command; an invalid command ends it with an error."""
        sequence = reply.sequence
        if not sequence.waits or sequence.sampler is None:
            return
        try:
            check_ids(self.loaded.model.vocab, (*command.force_ids, *command.ban_ids))
        except UnknownTokenError as error:
            sequence.finish(FinishReason.ERROR, error=str(error))
            return
        begins = reply.at_start and not sequence.forced and not command.force_ids
        sequence.forced += command.force_ids
        sequence.forced += self.prompts.content_ids(command.force_text, continued=not begins)
        if command.ban_ids:
            sequence.sampler.ban(command.ban_ids)
        sequence.resume(command.n_steps)

    def rendered(self, reply: Reply) -> PromptRendered:
        """Returns the rendered prompt of a request."""
        return PromptRendered(reply.sequence.request_id, self.prompts.token_spans(reply.prompt))

    def remember(self, reply: Reply) -> None:
        """Keeps the ids of a reply, so that the next prompt has the same tokens as the KV cache."""
        if reply.text:
            eog = self._scheduler.backend.eog
            self.prompts.remember(reply.text, reply.ids(without=eog))

    def forget(self, conversations: Collection[int]) -> None:
        """Deletes the saved states of conversations, and does not save their cells in the cache."""
        for scheduler in self.schedulers:
            scheduler.reuse.forget(conversations)
        if self._store:
            self._store.forget_conversations(conversations)

    def score_beside(self, n_ctx: int) -> NativeContext | None:
        """Returns a separate context for a text of `n_ctx` tokens; None if memory is short."""
        try:
            context = self.loaded.context.scoring(n_ctx)
        except ContextError as error:
            os.write(2, f"no context to score in: {error}\n".encode())
            return None
        self._scoring.append(context)
        return context

    def score_done(self, context: NativeContext) -> None:
        """Frees a context that `score_beside` gave."""
        self._scoring.remove(context)
        context.close()

    def _with_fallback_stop(self, sampling: SamplingParams) -> SamplingParams:
        """Adds a stop string if ChatML replaces a missing template: the model may spell its end of turn as text."""
        if not self._is_fallback:
            return sampling
        return msgspec.structs.replace(sampling, stop=(*sampling.stop, CHATML_END))

    def _parallel_scheduler(self) -> Scheduler:
        """The scheduler for parallel replies, created on first use; the usual one if memory is short."""
        if self._parallel is None:
            try:
                self._parallel = ParallelContext(self.loaded.context, self._scheduler)
            except ContextError as error:
                os.write(2, f"no context for parallel replies: {error}\n".encode())
                return self._scheduler
        return self._parallel.scheduler

    def save(self) -> None:
        """Saves all slots; nothing is saved afterwards."""
        if self._store:
            ends_s = time.perf_counter() + _SAVE_S
            self._scheduler.reuse.keep_all(ends_s)
            self._store.close(max(0.0, ends_s - time.perf_counter()))
            self._store = None

    def close(self) -> None:
        """Saves all slots, then frees the contexts and after them the weights."""
        self.save()
        for context in self._scoring:
            context.close()
        if self._parallel:
            self._parallel.context.close()
        if self._draft:
            self._draft.close()
        self.loaded.close()


def _open_store(cache: Path | None, path: str, loaded: LoadedModel) -> KvStore | None:
    """Opens the saved states of this file, build and layout of cells."""
    if cache is None:
        return None
    model, context = loaded.model, loaded.context
    window = (context.n_slots, context.unified, model.is_long(context.n_ctx))
    layout = (context.kv_type, context.flash_attn, *window, model.architecture, model.n_layers)
    try:
        return KvStore(kv_folder(cache), state_key(Path(path), (library.build(), *layout)), facts=model.adapters.facts)
    except OSError as error:
        loaded.notices.append(f"conversation states cannot be saved: {error}")
        return None
