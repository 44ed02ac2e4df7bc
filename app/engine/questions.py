"""Requests that generate nothing: the tokens of a text, the next token's distribution, how likely a text is.

A prediction is an ordinary request that is held before its first token and then given up, so that it takes what lies in
the cache and leaves there what the next request needs. A text is scored between the steps of the loop.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from app.domain.generation import FinishReason
from app.engine.core.happenings import Blocked, Finished, Happening, Held
from app.engine.host import Host
from app.engine.reply import Reply
from app.engine.score import HELD, ScoreRun
from app.protocol.codec import FrameError
from app.protocol.commands import Generate, Predict, Score, Tokenize
from app.protocol.events import Event, Predicted, ScoreFinished, Tokenized

_NO_MODEL = "no model is loaded"
_ABORTED = "it was aborted"


class Questions:
    """Those that are open, by their id; each ends with one answer."""

    def __init__(self, send: Callable[[Event], None]) -> None:
        self._send = send
        self._predictions: dict[int, Reply] = {}
        self._given_up: set[int] = set()
        """Predictions that were answered and whose sequences are still to be reported as finished."""
        self._scores: dict[int, ScoreRun] = {}

    @property
    def idle(self) -> bool:
        """Whether `step` would do nothing; what the schedulers have to do is their own business."""
        return all(score.waits for score in self._scores.values())

    def ask(self, command: Tokenize | Predict | Score, host: Host | None) -> None:
        """Answers now or later; never raises."""
        match command:
            case Tokenize():
                try:
                    self._send(_tokenized(command, host))
                except FrameError:
                    self._send(Tokenized(command.request_id, error="the text has too many tokens to be told at once"))
            case Predict():
                self._predict(command, host)
            case Score():
                self._score(command, host)

    def _predict(self, command: Predict, host: Host | None) -> None:
        request_id = command.request_id
        if host is None:
            self._send(Predicted(request_id, error=_NO_MODEL))
            return
        ids = () if command.messages else tuple(host.prompts.plain(command.text, bos=True).ids)
        if not command.messages and not ids:
            self._send(Predicted(request_id, error="the prompt is empty"))
            return
        held = Generate(
            request_id,
            command.messages,
            command.sampling,
            command.top_k,
            prompt_ids=ids,
            n_steps=0,
            cacheable=command.cacheable,
        )
        self._predictions[request_id] = host.submit(held, time.perf_counter())

    def _score(self, command: Score, host: Host | None) -> None:
        if host is None:
            self._send(ScoreFinished(command.request_id, error=_NO_MODEL))
            return
        try:
            self._scores[command.request_id] = ScoreRun(command, host)
        except ValueError as error:
            self._send(ScoreFinished(command.request_id, error=str(error)))

    def take(self, happening: Happening) -> bool:
        """Whether what a scheduler reports belongs to a prediction."""
        sequence = happening.sequence
        reply = self._predictions.get(sequence.request_id)
        if reply is None:
            return False
        if isinstance(happening, Held):
            self._send(Predicted(sequence.request_id, len(sequence.prompt), reply.paused(happening).prediction))
            self._given_up.add(sequence.request_id)
            sequence.finish(FinishReason.ABORT)
        elif isinstance(happening, Blocked):
            sequence.finish(FinishReason.ERROR, error=HELD)
        elif isinstance(happening, Finished):
            del self._predictions[sequence.request_id]
            if sequence.request_id not in self._given_up:
                self._send(Predicted(sequence.request_id, len(sequence.prompt), error=sequence.error or _ABORTED))
            self._given_up.discard(sequence.request_id)
        return True

    def step(self) -> None:
        """One decode of each text that is scored."""
        for request_id, score in list(self._scores.items()):
            for event in score.step():
                self._send(event)
                if isinstance(event, ScoreFinished):
                    del self._scores[request_id]

    def abort(self, request_id: int) -> None:
        """Ends one; no effect on one that is over."""
        if score := self._scores.pop(request_id, None):
            self._send(score.finished(_ABORTED))
        if reply := self._predictions.get(request_id):
            reply.sequence.finish(FinishReason.ABORT)

    def end(self, reason: str) -> None:
        """Ends all that are open: their model goes."""
        for score in self._scores.values():
            self._send(score.finished(reason))
        for request_id, reply in self._predictions.items():
            if reply.sequence.sampler:
                reply.sequence.sampler.close()
            if request_id not in self._given_up:
                self._send(Predicted(request_id, error=reason))
        self._scores.clear()
        self._predictions.clear()
        self._given_up.clear()


def _tokenized(command: Tokenize, host: Host | None) -> Tokenized:
    if host is None:
        return Tokenized(command.request_id, error=_NO_MODEL)
    prompts = host.prompts
    if command.messages:
        prompt = prompts.build(command.messages)
    else:
        prompt = prompts.plain(command.text, bos=False, parse_special=command.parse_special)
    return Tokenized(command.request_id, prompts.told(prompt))
