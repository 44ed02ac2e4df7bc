"""`ScriptedRun`: one `Generate` of the scripted engine, from its start to its end, with step mode."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence

import msgspec

from app.domain.generation import FinishReason, PromptSpans, Stop, Thinking
from app.domain.trace import Prediction, TokenTrace
from app.protocol.commands import Generate, Resume
from app.protocol.events import (
    CellsReported,
    ContextShifted,
    ContextTrimmed,
    GenerationEvent,
    GenerationFinished,
    GenerationStarted,
    Paused,
    PrefillProgress,
    PromptRendered,
    SlotsHeld,
    TokensGenerated,
)
from tests.fakes.engine_events import (
    EOG,
    make_eog,
    make_finished,
    make_forced,
    make_prediction,
    make_prompt,
    make_token,
    split_evenly,
)
from tests.fakes.gate import Gate
from tests.fakes.scripts import RANKS, Reply, pieces


class ScriptedRun:
    """Forced tokens come before what is left of the script; a banned one gives its place to the best alternative."""

    def __init__(self, command: Generate, script: Reply, gate: Gate, given_up: Callable[[], bool]) -> None:
        self._command = command
        self._script = script
        self._gate = gate
        self._given_up = given_up
        self._n_tokens = self._n_chars = 0
        self._thought: Thinking | None = None
        self._n_left = command.n_steps
        """Tokens until it pauses; None is never."""
        self._paused = False
        self._banned: set[int] = set()
        self._forced: deque[tuple[int | None, str]] = deque()
        """Ids, where they are known, and texts."""
        names = [name for name in command.sampling.force if name.startswith("#")]
        self._force([int(name[1:]) for name in names], command.reply_text)
        self._rest: deque[str | TokenTrace] = deque(script.tokens or script.pieces)
        self._predictions = deque(script.predictions)
        self._reported = -1, make_prediction("")
        """The last `Paused`: after how many tokens, and what it foretold."""
        if script.finish is FinishReason.STOP and script.stop and script.stop.kind == "eog":
            self._rest.append(make_eog(ms=script.token_ms, n_top=command.trace_top_k, stages=command.trace_stages))

    def pause(self) -> None:
        """As `Pause`."""
        if not self._paused:
            self._n_left = 0

    def resume(self, command: Resume) -> None:
        """As `Resume`."""
        if self._paused:
            self._paused, self._n_left = False, command.n_steps
            self._force(command.force_ids, command.force_text)
            self._banned = (self._banned | set(command.ban_ids)) - set(command.unban_ids)

    async def events(self) -> AsyncGenerator[GenerationEvent]:
        """Everything up to the end, or to where the engine is lost."""
        request_id, script = self._command.request_id, self._script
        n_new = script.n_prompt - script.n_cached
        spans = script.spans or PromptSpans(n_turn=script.n_prompt)
        if script.trimmed:
            yield ContextTrimmed(request_id, *script.trimmed)
        if script.held_by:
            yield SlotsHeld(request_id, script.held_by)
            await self._gate.step(self._given_up)
        seed = self._command.sampling.seed or script.seed
        yield GenerationStarted(request_id, script.n_prompt, script.n_cached, spans, seed, script.notices)
        if self._command.include_prompt:
            yield PromptRendered(request_id, tuple(script.prompt) or make_prompt(script.n_prompt))
        if script.accounts.get(0):
            yield CellsReported(request_id, script.accounts[0])
        for n_done in split_evenly(n_new, script.n_prefill_steps):
            await self._gate.step(self._given_up)
            if self._given_up():
                yield self._finished(FinishReason.ABORT)
                return
            yield PrefillProgress(request_id, n_done, n_new, float(n_done))
        while (self._rest or self._forced) and self._n_tokens != script.dies_after:
            ends = self._is_end()
            if not ends:
                await self._gate.step(lambda: self._given_up() or self._n_left == 0)
            if self._n_left == 0 and not self._given_up():
                self._paused = True
                self._reported = self._n_tokens, self._prediction()
                yield Paused(request_id, *self._reported)
                await self._gate.hold(lambda: not self._paused or self._given_up())
                ends = False
                if not self._given_up():
                    continue
            if self._given_up() and not ends:
                yield self._finished(FinishReason.ABORT)
                return
            token = self._next()
            self._n_tokens += 1
            if self._n_left is not None:
                self._n_left -= 1
            text = token.text if token.n_bytes else ""
            self._n_chars += len(text)
            yield TokensGenerated(request_id, text, (token,), self._thinking(token))
            if script.accounts.get(self._n_tokens):
                yield CellsReported(request_id, script.accounts[self._n_tokens])
            if script.n_shifted and self._n_tokens == 1:
                yield ContextShifted(request_id, 4, script.n_shifted)
        if script.dies_after is None:
            yield self._finished(script.finish, script.stop if script.finish is FinishReason.STOP else None)

    def _thinking(self, token: TokenTrace) -> Thinking | None:
        """The first tokens that are marked as thinking, without `<think>` and `</think>`."""
        if token.thinking:
            n, is_mark = self._n_chars, token.text in ("<think>", "</think>")
            start = n if is_mark else 0
            before = self._thought or Thinking(start, start, n, 0, -token.ms)
            end = before.end if is_mark else n
            self._thought = Thinking(before.start, end, n, before.n_tokens + 1, before.ms + token.ms)
        return self._thought

    def _is_end(self) -> bool:
        """The end token comes with the step before it."""
        return not self._forced and isinstance(last := self._rest[0], TokenTrace) and last.id == EOG.token_id

    def _prediction(self) -> Prediction:
        return self._predictions.popleft() if self._predictions else self._geometric()

    def _geometric(self) -> Prediction:
        piece = self._rest[0] if self._rest else EOG.text
        if isinstance(piece, TokenTrace):
            made = make_prediction(piece.text, piece.id - 100, rank=piece.rank, p_end=piece.p_end)
            return msgspec.structs.replace(made, before=piece.top or made.before)
        return make_prediction(piece, self._n_tokens, rank=self._rank, n_top=max(10, self._command.trace_top_k))

    @property
    def _rank(self) -> int:
        return RANKS[self._n_tokens % len(RANKS)]

    def _force(self, ids: Sequence[int], text: str) -> None:
        self._forced += [(token_id, "") for token_id in ids] + [(None, piece) for piece in pieces(text)]

    def _next(self) -> TokenTrace:
        command, index = self._command, self._n_tokens
        ms = self._script.token_ms + (0 if index else self._script.n_prompt - self._script.n_cached)
        if self._forced:
            token_id, text = self._forced.popleft()
            before = self._reported[1] if self._reported[0] == index else self._geometric()
            known = {top.id: top.text for top in before.before}
            text = text or known.get(token_id or 0, f" #{token_id}")
            token = make_forced(text, index, before, token_id=token_id)
            return msgspec.structs.replace(token, ms=ms, top=token.top[: command.trace_top_k])
        piece = self._rest.popleft()
        if isinstance(piece, TokenTrace):
            return piece
        rank, n_top, stages = self._rank, command.trace_top_k, command.trace_stages
        if 100 + index not in self._banned:
            return make_token(piece, index, ms=ms, rank=rank, n_top=n_top, stages=stages)
        top = make_prediction(piece, index, rank=rank).before
        place, other = next((n, each) for n, each in enumerate(top, 1) if n != rank and each.id not in self._banned)
        token = make_token(other.text, other.id - 100, ms=ms, rank=place, n_top=0, stages=stages)
        return msgspec.structs.replace(token, top=top[:n_top])

    def _finished(self, reason: FinishReason, stop: Stop | None = None) -> GenerationFinished:
        script = self._script
        failed = reason is FinishReason.ERROR
        return make_finished(
            self._command.request_id,
            reason,
            stop=stop,
            n_prompt=script.n_prompt,
            n_cached=script.n_cached,
            n_generated=self._n_tokens,
            token_ms=script.token_ms,
            error=script.error if failed else "",
            hint=script.hint if failed else "",
            drafting=script.drafting,
            cells=script.cells,
            incomplete=script.incomplete,
        )
