"""Folds the events of one request into an answer, and an answer into the object that `--json` documents."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from app.analysis.drafting import Drafting
from app.analysis.finish import losses
from app.cli.common.exit_codes import ExitCode
from app.domain import units
from app.domain.generation import DraftCounts, FinishReason, Stop, Thinking, Timings, Usage
from app.domain.trace import TokenTrace, cuts
from app.protocol.events import (
    ContextShifted,
    ContextTrimmed,
    EngineLost,
    GenerationFinished,
    GenerationStarted,
    ModelReady,
    TokensGenerated,
)
from app.session.events import MessageReturned


class Answer:
    """What is known of a reply so far; `finish_reason` is None until it has ended."""

    def __init__(self, model: str, preset: str, *, keep_tokens: bool = False) -> None:
        self.model = model
        self.preset = preset
        self.load_ms = 0.0
        self.n_ctx = 0
        self.seed: int | None = None
        self.finish_reason: FinishReason | None = None
        self.stop: Stop | None = None
        self.usage = Usage()
        self.timings = Timings()
        self.drafting: DraftCounts | None = None
        self.drafted = Drafting()
        """Whether drafts paid, by the times of the tokens."""
        self.n_dropped_messages = self.n_dropped_tokens = self.n_shifted_tokens = 0
        """What of the conversation was left out because the context window was full."""
        self.notices: tuple[str, ...] = ()
        """The engine's notes on how the prompt was built."""
        self.exit_code = ExitCode.OK
        self.error = ""
        self.hint = ""
        self.incomplete = False
        """Whether it ended inside its grammar."""
        self.thinking: Thinking | None = None
        self.new_reasoning = self.new_text = ""
        """What the last event added to `reasoning` and to `text`."""
        self._has_tokens = False
        self._reply: list[str] = []
        self._reasoning: list[str] = []
        self._pieces: list[str] = []
        self._rest, self._at = "", 0
        """Text of the reply that is in neither of the two yet, and its offset."""
        self._tokens: list[TokenTrace] | None = [] if keep_tokens else None

    @property
    def text(self) -> str:
        """The answer as far as it has come, without the thinking before it."""
        return "".join(self._pieces)

    @property
    def reply(self) -> str:
        """The whole reply as the model wrote it, with the marks of its thinking."""
        return "".join(self._reply)

    @property
    def reasoning(self) -> str:
        """The thinking before the answer, without its marks."""
        return "".join(self._reasoning)

    def take(self, event: object) -> None:
        """Folds one event in; events that say nothing of the answer are passed over."""
        match event:
            case ModelReady():
                self.load_ms, self.n_ctx = event.load_ms, event.n_ctx
            case ContextTrimmed():
                self.n_dropped_messages, self.n_dropped_tokens = event.n_messages, event.n_tokens
            case ContextShifted():
                self.n_shifted_tokens += event.n_discarded
            case GenerationStarted():
                self.seed, self.notices = event.seed, event.notices
                self.usage = Usage(n_prompt=event.n_prompt, n_cached=event.n_cached)
            case TokensGenerated():
                self._divide(event)
                for token in event.tokens:
                    self.drafted.token(token, timed=self._has_tokens)
                    self._has_tokens = True
                if self._tokens is not None:
                    self._tokens.extend(event.tokens)
            case GenerationFinished():
                self._finished(event)
            case MessageReturned():
                self._returned(continued=event.message.parent_id is not None)
            case EngineLost():
                hint = "the answer so far is kept; ask again to restart the engine"
                self.fail(f"the engine was lost: {event.reason}", hint, ExitCode.ENGINE_LOST)
            case _:
                pass

    def _divide(self, event: TokensGenerated) -> None:
        self.thinking = event.thinking
        self._reply.append(event.text)
        rest, at = self._rest + event.text, self._at
        thinking = event.thinking or Thinking(0, 0, 0)
        n_thought = max(0, thinking.end - at)
        self.new_reasoning = event.reasoning or rest[max(0, thinking.start - at) : n_thought]
        self.new_text = rest[max(0, thinking.answer - at) :]
        n_done = len(rest) if self.new_text else n_thought
        self._rest, self._at = rest[n_done:], at + n_done
        self._reasoning.append(self.new_reasoning)
        self._pieces.append(self.new_text)

    def _finished(self, event: GenerationFinished) -> None:
        self.finish_reason, self.stop, self.incomplete = event.finish_reason, event.stop, event.incomplete
        self.usage, self.timings, self.drafting = event.usage, event.timings, event.drafting
        self.drafted.finished(event.drafting)
        if event.finish_reason is FinishReason.ERROR:
            self.fail(event.error or "the engine refused the request", event.hint)
        elif event.finish_reason is FinishReason.CONTEXT and not event.usage.n_generated:
            # What cannot fit is refused before it is counted, and the engine says how long it is at least.
            counted = f"{event.usage.n_prompt} tokens, the context window holds {self.n_ctx}"
            size = counted if event.usage.n_prompt else event.error
            self.fail(f"the prompt is too long: {size}", "shorten it, or raise `n_ctx` in models.toml")
            self.finish_reason = FinishReason.CONTEXT

    def _returned(self, *, continued: bool) -> None:
        if self.exit_code is ExitCode.ENGINE_LOST:
            self.hint = "there is no answer; ask again to restart the engine"
        if continued and self.error:
            self.hint = f"the conversation is unchanged; {self.hint}"
            if self.finish_reason is FinishReason.CONTEXT:
                self.hint += ', or ask without -c; a preset with context = "drop-oldest-turns" leaves old turns out'

    @property
    def lost(self) -> str:
        """What was left out because the context window was full, in words; empty where nothing was."""
        parts = losses(self.n_dropped_messages, self.n_dropped_tokens, self.n_shifted_tokens)
        return f"the context window is full: {', '.join(parts)}" if parts else ""

    @property
    def cut_off(self) -> str:
        """That the answer does not follow its grammar to the end, or never began, and why, in words; else empty."""
        n_thought = self.thinking.n_tokens if self.thinking and not self.text else 0
        if self.error or not (self.incomplete or n_thought):
            return ""
        limits = {
            FinishReason.LENGTH: "`max_tokens` was reached",
            FinishReason.CONTEXT: "the context window is full",
            FinishReason.STOP: "a stop string was found",
        }
        why = limits.get(self.finish_reason or FinishReason.ABORT, "it was stopped")
        if self.stop and self.stop.kind == "eog":
            why = "the model ended it"
        if n_thought:
            return f"there is no answer: the reply ended after {units.tokens(n_thought)} of thinking, {why}"
        return f"the answer is incomplete: {why}"

    def fail(self, error: str, hint: str, code: ExitCode = ExitCode.FAILED) -> None:
        """Ends the answer with an error; its text stays."""
        self.finish_reason = FinishReason.ERROR
        self.exit_code, self.error, self.hint = code, error, hint

    def interrupt(self) -> None:
        """Ends the answer because the user said so; its text stays."""
        self.finish_reason = FinishReason.ABORT
        self.exit_code = ExitCode.INTERRUPTED

    def report(self) -> dict[str, Any]:
        """Returns the object of `tok ask --json`; `tokens` and `drafting` only where they were asked for."""
        usage, timings = self.usage, self.timings
        report: dict[str, Any] = {
            "text": self.text,
            "reasoning": self.reasoning,
            "finish_reason": self.finish_reason,
            "stop": self.stop and {"kind": self.stop.kind, "text": self.stop.text, "token_id": self.stop.token_id},
            "model": self.model,
            "preset": self.preset,
            "seed": self.seed,
            "usage": {
                "n_prompt": usage.n_prompt,
                "n_cached": usage.n_cached,
                "n_generated": usage.n_generated,
                "n_reasoning": self.thinking.n_tokens if self.thinking else 0,
            },
            "timings": {
                "load_ms": _rounded(timings.load_ms or self.load_ms),
                "queue_ms": _rounded(timings.queue_ms),
                "prefill_ms": _rounded(timings.prefill_ms),
                "ttft_ms": _rounded(timings.ttft_ms),
                "decode_ms": _rounded(timings.decode_ms),
                "reasoning_ms": _rounded(self.thinking.ms if self.thinking else 0.0),
                "prefill_tps": _rounded(timings.prefill_tps),
                "decode_tps": _rounded(timings.decode_tps),
            },
        }
        if timings.app_clock:
            report["app_clock"] = list(timings.app_clock)
            report["timings"] = {name: value or None for name, value in report["timings"].items()}
        if self.incomplete:
            report["incomplete"] = True
        if self.lost:
            names = ("n_dropped_messages", "n_dropped_tokens", "n_shifted_tokens")
            report["context"] = {name: getattr(self, name) for name in names}
        if self.drafting is not None:
            gain = self.drafted.gain
            report["drafting"] = msgspec.structs.asdict(self.drafting) | {"gain": gain and _rounded(gain.ratio)}
        if self._tokens is not None:
            report["tokens"] = [token_object(token) for token in self._tokens]
        return report


def token_object(token: TokenTrace) -> dict[str, Any]:
    """Returns one entry of `tokens`; a figure that JSON cannot carry (minus infinity) becomes null.

    `thinking` is there where the set for thinking was in force, `stages` and `draw` with the stage report; `cut` names
    the alternatives that a stage took away.
    """
    entry: dict[str, Any] = {
        "id": token.id,
        "text": token.text,
        "p": finite(token.p),
        "logprob": finite(token.logprob),
        "rank": token.rank,
        "entropy": finite(token.entropy),
        "ms": _rounded(token.ms),
        "origin": token.origin,
        "top": [{"id": top.id, "text": top.text, "p": finite(top.p)} for top in token.top],
    }
    if token.thinking:
        entry["thinking"] = True
    if token.stages:
        entry["stages"] = _stages(token)
        entry["draw"] = token.draw and {"u": token.draw.u, "low": token.draw.low, "high": token.draw.high}
    return entry


def _stages(token: TokenTrace) -> list[dict[str, Any]]:
    return [
        {
            "name": stage.name,
            "n_in": stage.n_in,
            "n_out": stage.n_out,
            "cut": [top.id for top in cut],
            "p": [finite(value) for value in stage.p],
        }
        for stage, cut in zip(token.stages, cuts(token.top, token.stages), strict=True)
    ]


def _rounded(value: float) -> float | None:
    return round(value, 3) if math.isfinite(value) else None


def finite(value: float) -> float | None:
    """A number as JSON can hold it: None where it is infinite or not a number."""
    return value if math.isfinite(value) else None
