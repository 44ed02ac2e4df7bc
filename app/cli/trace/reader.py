"""Reads a trace file. Strict: errors give the line number, and nothing is guessed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, cast

import msgspec

from app.analysis.recording import Recording
from app.cli.trace.format import END, FORMAT, HEADER, KINDS, TEXT, TOKEN, VERSION, Header, from_named
from app.domain.errors import UsageError
from app.domain.generation import FinishReason
from app.domain.text import one_line
from app.domain.trace import TokenTrace
from app.protocol.events import (
    ContextTrimmed,
    GenerationEvent,
    GenerationFinished,
    GenerationStarted,
    PromptRendered,
    TokensGenerated,
)

REQUEST_ID = 0
"""What a recording's events carry; who plays them puts the id of his own request there."""
_BEGINS = b'{"event":"header"'
_OWN_ENDS = (FinishReason.STOP, FinishReason.LENGTH, FinishReason.CONTEXT)
"""Where no token can be missing that was generated."""


def read_trace(path: Path, *, partial: bool = False) -> Recording:
    """Reads a whole trace; with `partial` one that is cut off too.

    Raises:
        UsageError: the file cannot be read, is no trace, is of a newer format, or has a mistake.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {one_line(str(path))}: {error.strerror}") from error
    return _Reader(path, data).read(partial=partial)


class _Reader:
    """One file. `_number` is the line that is read."""

    def __init__(self, path: Path, data: bytes) -> None:
        self._path = path
        *self._lines, rest = data.split(b"\n")
        # A last line without its newline is whole if it can be read: editors leave newlines out.
        self._is_cut = bool(rest) and not _is_object(rest)
        if rest and not (self._is_cut and self._lines):
            self._lines.append(rest)
        self._number = 1

    def read(self, *, partial: bool) -> Recording:
        header = self._header()
        started = _started(header)
        early: list[tuple[float, GenerationEvent]] = []
        events: list[tuple[float, GenerationEvent]] = [(0.0, started)]
        if header.prompt:
            events.append((0.0, PromptRendered(REQUEST_ID, header.prompt)))
        has_end = False
        for number, line in enumerate(self._lines[1:], 2):
            self._number = number
            if has_end:
                raise self._wrong("there is data after the end of the trace", "one file holds one trace")
            name, at_ms, event = self._event(line, events[-1][0])
            (early if isinstance(event, ContextTrimmed) else events).append((at_ms, event))
            has_end = name == END
        self._number = len(self._lines) + 1
        if has_end and self._is_cut:
            raise self._wrong("there is data after the end of the trace", "one file holds one trace")
        if not has_end and not partial:
            raise self._wrong("the trace is incomplete: it has no end", "use --partial to accept it")
        if not partial:
            self._check_whole([event for _, event in events])
        return Recording(
            source=one_line(self._path.name),
            time=header.time,
            model=header.model,
            preset=header.preset,
            sampling=header.sampling,
            speculate=header.speculate,
            messages=header.messages,
            prompt=header.prompt,
            context=header.context,
            started=started,
            events=(*early, *events),
            cut_at=None if has_end else self._number,
        )

    def _check_whole(self, events: list[GenerationEvent]) -> None:
        """Refuses a finished run whose last line counts more tokens than the file has."""
        end, n_tokens = events[-1], sum(len(each.tokens) for each in events if isinstance(each, TokensGenerated))
        if not isinstance(end, GenerationFinished) or end.finish_reason not in _OWN_ENDS:
            return
        n_generated = end.usage.n_generated
        if n_tokens < n_generated:
            self._number = len(self._lines)
            there = f"{n_tokens:,} of the {n_generated:,} tokens in its last line are present"
            raise self._wrong(f"the trace is damaged: {there}", "use --partial to accept it")

    def _header(self) -> Header:
        if not self._lines:
            raise self._wrong("the file is empty", "`tok trace PROMPT -o FILE` writes one")
        try:
            data = _object(self._lines[0])
        except ValueError:
            if self._lines[0].startswith(_BEGINS):
                hint = "`tok trace PROMPT -o FILE` writes a new one"
                raise self._wrong("the trace is damaged: its header is incomplete", hint) from None
            data = {}
        if data.get("event") != HEADER or data.get("format") != FORMAT:
            raise self._wrong("not a trace of tokscope", "`tok trace PROMPT -o FILE` writes one")
        version = data.get("version")
        if version != VERSION:
            hint = f"this tokscope reads version {VERSION}"
            raise self._wrong(f"the trace has format version {one_line(str(version), 20)}", hint)
        try:
            return from_named(_with_native(data), Header)
        except ValueError as error:
            raise self._wrong(f"the header is wrong: {error}") from None

    def _event(self, line: bytes, before_ms: float) -> tuple[str, float, GenerationEvent]:
        try:
            data = _object(line)
            name, at_ms = data.get("event"), data.get("at_ms")
            if not isinstance(at_ms, int | float) or not before_ms <= at_ms < math.inf:
                raise ValueError(f"`at_ms` is {one_line(repr(at_ms), 40)}, before it was {before_ms}")
            if name in (TOKEN, TEXT):
                shown = data.get("shown")
                if not isinstance(shown, str):
                    raise ValueError("`shown` is no text")
                tokens = (from_named(data, TokenTrace),) if name == TOKEN else ()
                return name, at_ms, TokensGenerated(REQUEST_ID, shown, tokens)
            if name not in KINDS:
                raise ValueError(f"unknown event {one_line(repr(name), 40)}")
            return name, at_ms, from_named(data | {"request_id": REQUEST_ID}, KINDS[name])
        except ValueError as error:
            raise self._wrong(str(error)) from None

    def _wrong(self, message: str, hint: str = "") -> UsageError:
        return UsageError(f"{one_line(str(self._path), 400)}:{self._number}: {message}", hint)


def _with_native(header: dict[str, Any]) -> dict[str, Any]:
    """Returns an older header, whose `ready` held the facts of llama.cpp itself, as one of today."""
    match header:
        case {"model": {"ready": {"architecture": _} as ready} as model}:
            return header | {"model": model | {"ready": ready | {"native": ready}}}
        case _:
            return header


def _is_object(line: bytes) -> bool:
    try:
        _object(line)
    except ValueError:
        return False
    return True


def _object(line: bytes) -> dict[str, Any]:
    try:
        data: object = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("not JSON") from None
    if not isinstance(data, dict):
        raise ValueError("not an object")
    return cast("dict[str, Any]", data)


def _started(header: Header) -> GenerationStarted:
    return GenerationStarted(
        REQUEST_ID,
        header.n_prompt,
        header.n_cached,
        header.spans,
        header.seed,
        header.notices,
        header.n_restored,
        header.n_shared,
    )
