"""Turns the events of one reply into the lines of a trace, as they come. Knows no file: it is given what writes."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import msgspec

from app import __version__
from app.analysis.recording import ModelOfRecord
from app.cli.trace.format import KINDS, Header, event_line, header_line, token_lines
from app.domain.generation import FinishReason, Timings, Usage
from app.domain.sampling import Preset
from app.domain.text import safe_json
from app.domain.trace import PromptToken
from app.protocol.commands import ChatMessage
from app.protocol.events import (
    ContextShifted,
    ContextTrimmed,
    EngineLost,
    GenerationFinished,
    GenerationStarted,
    PrefillProgress,
    PromptRendered,
    TokensGenerated,
)

_NAMES = {kind: name for name, kind in KINDS.items()}


class TraceRecorder:
    """Fold every event of one request in, in order.

    Attributes:
        n_tokens: how many have been written.
    """

    def __init__(self, write: Callable[[bytes], None]) -> None:
        """`write` takes one line at a time, its newline included."""
        self.n_tokens = 0
        self._write = write
        self._model: ModelOfRecord | None = None
        self._preset = Preset(name="")
        self._speculate: bool | None = None
        self._messages: Callable[[], tuple[ChatMessage, ...]] = tuple
        self._started: GenerationStarted | None = None
        self._has_header = False
        self._early: list[dict[str, Any]] = []
        self._token_ms = 0.0
        self._at_ms = 0.0

    def begin(
        self,
        model: ModelOfRecord,
        preset: Preset,
        *,
        speculate: bool | None,
        messages: Callable[[], tuple[ChatMessage, ...]],
    ) -> None:
        """Tells what the header says; `messages` is asked when the reply begins."""
        self._model, self._preset, self._speculate, self._messages = model, preset, speculate, messages

    def take(self, event: object) -> None:
        """Writes what there is to write of one event; those that belong to no reply are passed over."""
        match event:
            case GenerationStarted():
                self._started = event
            case PromptRendered():
                self._begin_file(event.tokens)
            case TokensGenerated():
                self._add(token_lines(self._token_ms, event))
                self._token_ms += sum(token.ms for token in event.tokens)
                self._at_ms = max(self._at_ms, self._token_ms)
                self.n_tokens += len(event.tokens)
            case PrefillProgress():
                self._at_ms = event.ms
                self._add([event_line("prefill", event.ms, event)])
            case EngineLost():
                self.take(_loss(event, self.n_tokens))
            case ContextTrimmed() | ContextShifted() | GenerationFinished():
                self._add([event_line(_NAMES[type(event)], self._at_ms, event)])
            case _:
                pass

    def _add(self, lines: list[dict[str, Any]]) -> None:
        if self._started is None:
            self._early += lines
            return
        self._begin_file(())
        for line in lines:
            self._write(_json_line(line))

    def _begin_file(self, prompt: tuple[PromptToken, ...]) -> None:
        if self._has_header or self._started is None or self._model is None:
            return
        self._has_header = True
        started, native = self._started, self._model.ready.native
        header = Header(
            tokscope=__version__,
            time=datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
            build=native.build if native else "",
            model=self._model,
            preset=self._preset.name,
            sampling=self._preset.sampling,
            seed=started.seed,
            speculate=self._speculate,
            n_prompt=started.n_prompt,
            n_cached=started.n_cached,
            n_restored=started.n_restored,
            n_shared=started.n_shared,
            spans=started.spans,
            notices=started.notices,
            messages=self._messages(),
            prompt=prompt,
            context=self._preset.context,
        )
        for line in [header_line(header), *self._early]:
            self._write(_json_line(line))


def _json_line(line: dict[str, Any]) -> bytes:
    return safe_json(msgspec.json.encode(line).decode()).encode() + b"\n"


def _loss(event: EngineLost, n_tokens: int) -> GenerationFinished:
    reason = f"the engine was lost: {event.reason}"
    return GenerationFinished(0, FinishReason.ERROR, Usage(n_generated=n_tokens), Timings(), error=reason)
