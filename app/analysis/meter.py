"""The figures of one reply, folded from its events."""

from __future__ import annotations

from enum import StrEnum

from app.analysis.context import ContextUse, WindowState, live_cells, with_account, without_lost
from app.analysis.drafting import Drafting
from app.analysis.ending import Ending
from app.analysis.finish import STOPPED, finish_line, finish_word
from app.analysis.latency import Latency
from app.analysis.survivors import Candidate, candidates_of
from app.analysis.token_rate import N_RECENT, ScreenClock, TokenRate, rate
from app.domain.generation import CellSpan, FinishReason, PromptSpans, Stop, Timings
from app.domain.text import one_line
from app.domain.trace import PromptToken, TokenTrace
from app.protocol.events import (
    CellsReported,
    ContextShifted,
    ContextTrimmed,
    EngineLost,
    GenerationEvent,
    GenerationFinished,
    GenerationStarted,
    Paused,
    PrefillProgress,
    PromptRendered,
    SlotsHeld,
    TokensGenerated,
)


class Phase(StrEnum):
    """From nothing asked to the end of the reply."""

    IDLE = "idle"
    QUEUED = "queued"
    PREFILL = "prefill"
    DECODE = "decode"
    PAUSED = "paused"
    """Held before its next token."""
    DONE = "done"


ENOUGH_NEW = 16
"""Prompt tokens from which the cost of one is known: a pass of few takes as long as a pass of many."""


class RunMeter:
    """A fold over one reply's events after another; a new `GenerationStarted` begins anew. O(tokens) an event.

    Rates are tokens per second, None while unknown.
    """

    def __init__(self) -> None:
        self.version = 0
        """Grows with every change; a panel with the same value has nothing to draw."""
        self.phase = Phase.IDLE
        self.finish = ""
        """Why the reply ended, in words; empty until it has."""
        self.finish_word = ""
        """The same in a word or two."""
        self.finish_reason: FinishReason | None = None
        self.seed: int | None = None
        self.n_prompt = 0
        self.n_cached = 0
        self.spans = PromptSpans()
        self.context_known = True
        """Whether `context` is known: a conversation that another model wrote is not counted yet, a prompt that a
        server reads only at the end."""
        self.app_clock = False
        """Whether the app measures the times that come with the tokens, on its side of a network."""
        self.n_prefilled = 0
        """Of the `n_new` tokens, those that are computed."""
        self.prefill_ms = 0.0
        self.ttft_ms: float | None = None
        self.n_generated = 0
        self.n_shifted = 0
        """Tokens that were forgotten while the reply was written, oldest first."""
        self.decode_ms = 0.0
        self.tokens: list[TokenTrace] = []
        """The reply's, in order; a new reply has a new list."""
        self.prompt: tuple[PromptToken, ...] = ()
        """The prompt as it was sent; empty if unknown."""
        self.stop: Stop | None = None
        self.held_by: tuple[int, ...] = ()
        """The paused requests whose slots it waits for; empty where it does not."""
        self.drafting, self.latency, self.ending = Drafting(), Latency(), Ending()
        self.screen = ScreenClock()
        """Of the turn's screen; fed by who flushes."""
        self._pace = TokenRate()
        self._final = Timings()
        self._untimed_ms = 0.0
        """Since the last token that was counted, where a server counts some of them later."""
        self._source = "reused"
        self.n_kept = 0
        """Tokens that the reply begins with, kept from an older one: the prompt's last ones, not generated."""
        self._cells: tuple[CellSpan, ...] = ()
        self._reported_cells: tuple[CellSpan, ...] = ()
        """The engine's last account while it runs."""

    def reset(self, n_history: int | None = 0) -> None:
        """Forgets everything: another conversation, another model. `n_history`: its tokens, None when unknown."""
        self._start(Phase.IDLE, 0, 0, PromptSpans(n_history=n_history or 0))
        self.context_known = n_history is not None
        self.seed = None

    def queued(self) -> None:
        """A prompt was sent and the engine has not begun on it; the last reply's figures stay until it does."""
        self.phase = Phase.QUEUED
        self.finish = self.finish_word = ""
        self.finish_reason = None
        self.held_by = ()
        self.version += 1

    def apply(self, event: GenerationEvent) -> None:
        """Folds one event in."""
        self.version += 1
        match event:
            case GenerationStarted():
                self._start(Phase.PREFILL, event.n_prompt, event.n_cached, event.spans)
                self.seed, self.app_clock, self.n_kept = event.seed, event.app_clock, event.n_kept
                self.context_known = event.n_prompt > 0
                self.ending = Ending(event.n_kept)
                self._source = "restored" if event.n_restored else "shared" if event.n_shared else "reused"
            case SlotsHeld():
                self.held_by = event.held_by
            case CellsReported():
                self._reported_cells = event.cells
            case PromptRendered():
                self.prompt = event.tokens
            case Paused():
                self.phase = Phase.PAUSED
            case PrefillProgress():
                self.n_prefilled, self.prefill_ms = event.n_done, event.ms
            case TokensGenerated():
                for token in event.tokens:
                    self._token(token)
                self._untraced(event)
            case ContextShifted():
                self.n_shifted += event.n_discarded
                self._reported_cells = ()  # its cells have moved
            case ContextTrimmed():
                pass  # the prompt's own figures come with GenerationStarted
            case GenerationFinished():
                self._finish(event)
            case EngineLost():
                self._lost(event)

    def _lost(self, event: EngineLost) -> None:
        self.phase = Phase.DONE
        if event.wished:
            self.finish_reason, self.finish, self.finish_word = (
                FinishReason.ABORT,
                STOPPED,
                finish_word(FinishReason.ABORT, None),
            )
        else:
            self.finish_reason, self.finish_word = FinishReason.ERROR, "engine lost"
            self.finish = one_line(f"engine lost: {event.reason}")

    # Prefill

    @property
    def n_new(self) -> int:
        """Prompt tokens that were not cached."""
        return self.n_prompt - self.n_cached

    @property
    def prefill_tps(self) -> float | None:
        """Tokens per second of the prefill, so far or in the end."""
        return rate(self.n_prefilled, self.prefill_ms)

    @property
    def prefill_fraction(self) -> float:
        """How far the prefill is, 0 to 1."""
        return min(1.0, self.n_prefilled / self.n_new) if self.n_new else 1.0

    @property
    def prefill_ms_per_token(self) -> float | None:
        """What one input token cost; None for fewer than ENOUGH_NEW of them."""
        return self.prefill_ms / self.n_prefilled if self.n_prefilled >= ENOUGH_NEW and self.prefill_ms else None

    # Decode

    @property
    def tps_now(self) -> float | None:
        """Speed over the last second of the engine's time."""
        return self._pace.tps_now

    @property
    def tps_average(self) -> float | None:
        """Speed of the whole reply."""
        return rate(self.n_generated - 1, self.decode_ms)

    @property
    def decode_ms_per_token(self) -> float | None:
        """What one output token cost."""
        return self.decode_ms / (self.n_generated - 1) if self.n_generated > 1 and self.decode_ms else None

    @property
    def cost_ratio(self) -> float | None:
        """How many input tokens one output token cost."""
        prefill, decode = self.prefill_ms_per_token, self.decode_ms_per_token
        return decode / prefill if prefill and decode else None

    @property
    def p50_ms(self) -> float | None:
        """Median time between two tokens: of the recent ones while it runs, of all in the end."""
        return self._final.p50_ms or self._pace.percentile_ms(0.50)

    @property
    def p95_ms(self) -> float | None:
        """95th percentile of the time between two tokens, as `p50_ms`."""
        return self._final.p95_ms or self._pace.percentile_ms(0.95)

    @property
    def percentiles_are_recent(self) -> bool:
        """Whether `p50_ms` and `p95_ms` leave out tokens of the reply."""
        return not self._final.p50_ms and self._pace.n > N_RECENT

    @property
    def count_known(self) -> bool:
        """Whether `n_generated` is known: a server may send text and count nothing."""
        return self.n_generated > 0 or self.ttft_ms is None

    def by_app(self, figure: str) -> bool:
        """Whether the app measured a figure, on its side of a network. `figure` is a name of `Timings`."""
        if self.phase is not Phase.DONE or not getattr(self._final, figure):
            return self.app_clock
        return figure in self._final.app_clock

    @property
    def history(self) -> tuple[float, ...]:
        """Tokens per second of each quarter of a second of the reply, oldest first, at most 80."""
        return tuple(self._pace.history)

    # The rest

    @property
    def running(self) -> bool:
        """Whether more may come."""
        return self.phase in (Phase.PREFILL, Phase.DECODE, Phase.PAUSED)

    @property
    def last(self) -> TokenTrace | None:
        """The token that came last."""
        return self.tokens[-1] if self.tokens else None

    def context(self, n_ctx: int) -> ContextUse:
        """How the context window of `n_ctx` tokens is used."""
        reply = self.n_kept + self.n_generated
        if not self.spans.n_tokens:
            return ContextUse(n_ctx, 0, 0, 0, reply, self.n_prompt)
        parts = without_lost((self.spans.n_history, self.spans.n_turn - self.n_kept, reply), self.n_shifted)
        return ContextUse(n_ctx, self.spans.n_system, *parts)

    def cells(self, n_ctx: int) -> tuple[CellSpan, ...]:
        """What lies in the window of `n_ctx` cells: the engine's account in the end, until then a reckoning from it."""
        if self._cells or not self.spans.n_tokens:
            return self._cells
        held = WindowState(
            self.n_prompt,
            self.n_cached,
            self._source,
            self.n_prefilled,
            self.prefill_ms,
            self.n_generated,
            self.decode_ms,
            self.n_shifted,
            self.n_kept,
        )
        return with_account(live_cells(held, self.spans, n_ctx), self._reported_cells)

    def candidates(self, limit: int) -> tuple[Candidate, ...]:
        """The `limit` likeliest at the last step, best first; a chosen one not among them takes the last place."""
        return candidates_of(self.last, limit)

    def _start(self, phase: Phase, n_prompt: int, n_cached: int, spans: PromptSpans) -> None:
        self.version += 1
        self.phase, self.finish, self.finish_word, self.finish_reason = phase, "", "", None
        self.n_prompt, self.n_cached, self.spans = n_prompt, n_cached, spans
        self.context_known = True
        self.n_prefilled, self.prefill_ms, self.ttft_ms = 0, 0.0, None
        self.n_generated, self.n_shifted, self.decode_ms, self.tokens = 0, 0, 0.0, []
        self.prompt, self.stop, self._cells, self._source, self.n_kept = (), None, (), "reused", 0
        self._reported_cells, self.held_by = (), ()
        self.drafting, self.latency, self.ending = Drafting(), Latency(), Ending()
        self._pace, self._final = TokenRate(), Timings()
        self.app_clock, self._untimed_ms = False, 0.0

    def _token(self, token: TokenTrace) -> None:
        self.phase = Phase.DECODE
        self.tokens.append(token)
        self.n_generated += 1
        first = self.n_generated == 1
        self.drafting.token(token, timed=not first)
        self.ending.token(token)
        if first:
            self.ttft_ms = token.ms
            self.n_prefilled = self.n_new
        else:
            self._pace.add(token.ms)
            self.latency.token(token, self.n_prompt + self.n_generated - 1 - self.n_shifted)
            self.decode_ms = self._pace.total_ms

    def _untraced(self, event: TokensGenerated) -> None:
        """Takes text, thinking and tokens of which a server says no more."""
        if event.tokens or not (event.text or event.reasoning):
            self.n_generated += event.n_untraced
            return
        self.phase = Phase.DECODE
        if self.ttft_ms is None:
            self.ttft_ms, self.n_prefilled = event.untraced_ms, self.n_new
        else:
            self._untimed_ms += event.untraced_ms
            for _ in range(event.n_untraced):
                self._pace.add(self._untimed_ms / event.n_untraced)
            self._untimed_ms = 0.0 if event.n_untraced else self._untimed_ms
            self.decode_ms = self._pace.total_ms + self._untimed_ms
        self.n_generated += event.n_untraced

    def _finish(self, event: GenerationFinished) -> None:
        timings, usage = event.timings, event.usage
        refused = self.phase is Phase.QUEUED
        self.phase, self.finish_reason = Phase.DONE, event.finish_reason
        self.finish, self.finish_word = finish_line(event), finish_word(event.finish_reason, event.stop)
        if refused:
            return  # it never began: the figures stay those of the reply on the screen
        self._final, self.stop, self._cells = timings, event.stop, event.cells
        self.drafting.finished(event.drafting)
        self.ending.finished(by_token=event.stop is not None and event.stop.kind == "eog")
        self.n_prompt, self.n_cached = usage.n_prompt, usage.n_cached
        self.n_generated = usage.n_generated
        self.context_known = usage.n_prompt > 0 or self.context_known
        # An engine that was lost, or left, reported no times.
        self.decode_ms = timings.decode_ms or self.decode_ms
        if timings.prefill_ms:
            self.prefill_ms = timings.prefill_ms
        if usage.n_generated or timings.app_clock:
            self.ttft_ms = timings.ttft_ms or self.ttft_ms
            self.n_prefilled = self.n_new
