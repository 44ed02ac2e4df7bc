"""Requests that generate nothing: the tokens of a text, the next token's distribution, scores, raw measurements."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import islice

from app.domain.generation import FinishReason
from app.domain.sampling import needs_grammar
from app.domain.trace import PromptToken
from app.engine.core.backend import ComputeError
from app.engine.core.events import Blocked, Finished, Held, StepEvent
from app.engine.native.loader import LoadedModel
from app.engine.native.raw import RawRun, measure
from app.engine.requests.background import Background, Then
from app.engine.requests.prompting import Fitted, TooLongError, UnknownTokenError
from app.engine.requests.reply import Reply
from app.engine.requests.score import HELD, ScoreRun
from app.engine.requests.service import ModelService
from app.engine.text.prompt import Prompt
from app.protocol.codec import FrameError
from app.protocol.commands import Bench, Generate, Predict, Score, Tokenize
from app.protocol.events import BenchFinished, BenchMeasured, Event, Predicted, ScoreFinished, Tokenized

_NO_MODEL = "no model is loaded"
_ABORTED = "it was aborted"
LONG = 1 << 16
"""Texts of more characters are tokenised in the background."""


class QueryRunner:
    """Open queries by id; each ends with one answer."""

    def __init__(self, send: Callable[[Event], None], wake: Callable[[], None]) -> None:
        """`wake` makes the loop call `step`; thread-safe."""
        self._send = send
        self._background = Background(wake)
        self._texts: dict[int, Tokenize | Predict | Score] = {}
        """Queries whose text is tokenised in the background."""
        self._predictions: dict[int, Reply] = {}
        self._given_up: set[int] = set()
        """Answered predictions whose sequences have not been reported as finished."""
        self._scores: dict[int, ScoreRun] = {}

    @property
    def idle(self) -> bool:
        """Whether `step` would do nothing; does not cover the schedulers."""
        return all(score.waits for score in self._scores.values())

    def ask(self, command: Tokenize | Predict | Score, host: ModelService | None) -> None:
        """Answers now or later; never raises."""
        if host is None:
            self._refuse(command, _NO_MODEL)
        elif not _takes_long(command):
            try:
                self._read(command, host)()
            except (TooLongError, UnknownTokenError) as error:
                self._refuse(command, str(error))
        else:
            self._texts[command.request_id] = command
            self._background.start(
                command.request_id, lambda: self._read(command, host), lambda error: self._refuse(command, error)
            )

    def _read(self, command: Tokenize | Predict | Score, host: ModelService) -> Then:
        """Prepares a text for the loop; returns the step that continues."""
        prompts = host.prompts
        match command:
            case Tokenize(text=text, parse_special=special) if not command.messages:
                tokens = prompts.token_spans(prompts.from_text(text, bos=False, parse_special=special))
                return lambda: self._answer(Tokenized(command.request_id, tokens))
            case Tokenize(fit_only=True):
                answer = _fit(command, host)
                return lambda: self._answer(answer)
            case Tokenize(messages=messages):
                tokens = prompts.token_spans(prompts.build(messages))
                return lambda: self._answer(Tokenized(command.request_id, tokens))
            case Predict(text=text):
                ids = () if command.messages else tuple(prompts.from_text(text, bos=True).ids)
                if not command.messages and not ids:
                    return lambda: self._refuse(command, "the prompt is empty")
                notices = host.prepare(command.sampling) if needs_grammar(command.sampling) else ()
                held = Generate(
                    command.request_id,
                    command.messages,
                    command.sampling,
                    command.top_k,
                    prompt_ids=ids,
                    n_steps=0,
                    cacheable=command.cacheable,
                )
                fitted = host.fitted(held)
                return lambda: self._predict(held, fitted, notices, host)
            case Score(text=text):
                prompt = prompts.from_text(text, bos=True)
                reported = prompts.token_spans(prompt)
                return lambda: self._score(command, prompt, reported, host)

    def _answer(self, answer: Tokenized) -> None:
        self._texts.pop(answer.request_id, None)
        try:
            self._send(answer)
        except FrameError:
            self._send(Tokenized(answer.request_id, error="the text has too many tokens for one event"))

    def _refuse(self, command: Tokenize | Predict | Score, error: str) -> None:
        request_id = command.request_id
        self._texts.pop(request_id, None)
        match command:
            case Tokenize():
                self._send(Tokenized(request_id, error=error))
            case Predict():
                self._send(Predicted(request_id, error=error))
            case Score():
                self._send(ScoreFinished(request_id, error=error))

    def _predict(self, held: Generate, fitted: Fitted, notices: tuple[str, ...], host: ModelService) -> None:
        self._texts.pop(held.request_id, None)
        self._predictions[held.request_id] = host.submit(held, time.perf_counter(), fitted, notices)

    def _score(self, command: Score, prompt: Prompt, reported: Sequence[PromptToken], host: ModelService) -> None:
        self._texts.pop(command.request_id, None)
        try:
            self._scores[command.request_id] = ScoreRun(command, prompt, reported, host)
        except ValueError as error:
            self._refuse(command, str(error))

    def take(self, event: StepEvent) -> bool:
        """Whether a scheduler's event belongs to a prediction."""
        sequence = event.sequence
        reply = self._predictions.get(sequence.request_id)
        if reply is None:
            return False
        if isinstance(event, Held):
            prediction = reply.paused(event).prediction
            notices = tuple(sequence.cache.notices)
            self._send(Predicted(sequence.request_id, len(sequence.prompt), prediction, notices=notices))
            self._given_up.add(sequence.request_id)
            sequence.finish(FinishReason.ABORT)
        elif isinstance(event, Blocked):
            sequence.finish(FinishReason.ERROR, error=HELD)
        elif isinstance(event, Finished):
            del self._predictions[sequence.request_id]
            if sequence.request_id not in self._given_up:
                self._send(Predicted(sequence.request_id, len(sequence.prompt), error=sequence.error or _ABORTED))
            self._given_up.discard(sequence.request_id)
        return True

    def step(self) -> None:
        """Continues with tokenised texts; runs one decode for each score."""
        self._background.take()
        for request_id, score in list(self._scores.items()):
            for event in score.step():
                self._send(event)
                if isinstance(event, ScoreFinished):
                    del self._scores[request_id]

    def abort(self, request_id: int) -> None:
        """Ends a query; no effect if it has ended."""
        if (command := self._texts.get(request_id)) and self._background.give_up(request_id):
            self._refuse(command, _ABORTED)
        if score := self._scores.pop(request_id, None):
            self._send(score.finished(_ABORTED))
        if reply := self._predictions.get(request_id):
            reply.sequence.finish(FinishReason.ABORT)

    def end(self, reason: str) -> None:
        """Ends all open queries, because their model is unloaded."""
        for command in list(self._texts.values()):
            self._background.give_up(command.request_id)
            self._refuse(command, reason)
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

    def at_rest(self, timeout_s: float | None = None) -> bool:
        """Waits until no text is being tokenised, so that the model can be freed; False after a timeout."""
        return self._background.wait(timeout_s)


def _takes_long(command: Tokenize | Predict | Score) -> bool:
    """Whether a request needs long preparation in the background: a long text or a grammar."""
    if isinstance(command, Predict) and needs_grammar(command.sampling):
        return True
    messages = () if isinstance(command, Score) else command.messages
    return len(command.text) + sum(len(message.content) for message in messages) > LONG


def _fit(command: Tokenize, host: ModelService) -> Tokenized:
    try:
        return Tokenized(command.request_id, fit=host.fit(command))
    except TooLongError as error:
        return Tokenized(command.request_id, error=str(error), n_least=error.n_least)


def run_bench(
    command: Bench, loaded: LoadedModel | None, send: Callable[[Event], None], stopped: Callable[[], bool]
) -> None:
    """Sends one BenchMeasured per repetition, then one BenchFinished with the error, if any."""
    error = ""
    if loaded is None:
        error = "no model is loaded"
    elif not (command.n_prompt > 0) ^ (command.n_gen > 0):
        error = "one of n_prompt and n_gen must be 0"
    else:
        run = RawRun(command.n_prompt, command.n_gen, command.depth)
        n_threads = loaded.context.n_threads
        seconds = measure(loaded.model, loaded.options, n_threads, run, warm_up=command.warm_up, stopped=stopped)
        try:
            with closing(seconds):
                for elapsed in islice(seconds, command.n_reps):
                    send(BenchMeasured(command.request_id, elapsed))
        except ComputeError as failure:
            error = str(failure)
    send(BenchFinished(command.request_id, error))
