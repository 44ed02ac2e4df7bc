"""Events that an engine sends to the app. Past-tense names; every event is one frame.

`EngineLost` is never sent by a worker: the client makes it when the worker's pipe ends, so that the death of an engine
is an event like the others.
"""

from __future__ import annotations

from msgspec import Struct

from app.domain.generation import CellSpan, DraftCounts, FinishReason, PromptSpans, Stop, Timings, Usage
from app.domain.trace import Prediction, PromptToken, TokenTrace

PROTOCOL_VERSION = 4


class Device(Struct, frozen=True, array_like=True):
    """A compute device that llama.cpp sees."""

    name: str
    description: str
    kind: str
    """`CPU`, `GPU`, `IGPU`, `ACCEL` or `META`."""
    free_bytes: int
    total_bytes: int


class Hello(Struct, frozen=True, tag=True, array_like=True):
    """The worker lives and has its native library. Always the first event."""

    protocol: int
    pid: int
    build: str
    """The llama.cpp build, as in `llama-cpp-python 0.3.36`, with its system information line."""
    devices: tuple[Device, ...]


class LoadProgress(Struct, frozen=True, tag=True, array_like=True):
    """How far a load is, 0 to 1."""

    fraction: float


class LayerPlacement(Struct, frozen=True, array_like=True):
    """What one device holds of the model."""

    device: str
    n_layers: int


class AdapterReady(Struct, frozen=True, array_like=True):
    """A LoRA adapter in memory."""

    name: str
    path: str
    scale: float
    """Where a request does not say."""


class ModelReady(Struct, frozen=True, tag=True, array_like=True):
    """The model is loaded; every figure is read back from llama.cpp, not from what was asked."""

    path: str
    title: str
    """`general.name` of the GGUF, or the file's name."""
    architecture: str
    quant: str
    """As in `Q4_1`."""
    n_params: int
    model_bytes: int
    kv_bytes: int
    n_ctx: int
    """Context window of one slot, in tokens."""
    n_ctx_train: int
    n_vocab: int
    n_slots: int
    n_layers: int
    """Repeating layers and the output layer, as llama.cpp counts what it offloads."""
    placement: tuple[LayerPlacement, ...]
    n_threads: int
    flash_attn: str
    load_ms: float
    build: str
    notices: tuple[str, ...] = ()
    """What the user should know: a smaller context than asked, a fallback template."""
    adapters: tuple[AdapterReady, ...] = ()
    """The LoRA adapters that are loaded with it."""
    pass_bytes: int = 0
    """Weights that a pass for one token reads, with those of the experts that it asks; 0 where it is not known."""

    @property
    def on_cpu(self) -> bool:
        """Whether every layer is computed by the CPU: whatever else runs on it then costs tokens."""
        return all(placed.device.upper().startswith("CPU") for placed in self.placement)


class LoadFailed(Struct, frozen=True, tag=True, array_like=True):
    """The model could not be loaded; the worker holds none now."""

    reason: str
    hint: str = ""
    cancelled: bool = False


class ContextTrimmed(Struct, frozen=True, tag=True, array_like=True):
    """The oldest messages were left out, so that the prompt fits; comes before `GenerationStarted`."""

    request_id: int
    n_messages: int
    n_tokens: int
    """How much shorter the prompt is for it."""


class GenerationStarted(Struct, frozen=True, tag=True, array_like=True):
    """The prompt is rendered, tokenised and has a slot; prefill begins."""

    request_id: int
    n_prompt: int
    n_cached: int
    spans: PromptSpans
    seed: int
    """The seed in use, chosen by the engine where the request left it open."""
    notices: tuple[str, ...] = ()
    """What the user should know of how the prompt was made: a template that failed, a merged system prompt."""
    n_restored: int = 0
    """Of the cached tokens, those that were read from a saved state."""
    n_shared: int = 0
    """Of the cached tokens, those that were copied from another conversation with the same beginning, or are shared
    with another branch."""
    n_kept: int = 0
    """The prompt's last tokens that are the beginning of the reply: kept from an older one, counted in this turn."""


class CellsReported(Struct, frozen=True, tag=True, array_like=True):
    """The window of a request now, as in `GenerationFinished`.

    Comes after `GenerationStarted` and whenever a phase begins, cells were forgotten or others share more or fewer of
    them; between two of these a request only computes cells of its own.
    """

    request_id: int
    cells: tuple[CellSpan, ...]


class SlotsHeld(Struct, frozen=True, tag=True, array_like=True):
    """A request cannot begin: paused requests hold all slots. Comes once, before `GenerationStarted`.

    It begins by itself when one of them has ended.
    """

    request_id: int
    held_by: tuple[int, ...]
    """The paused requests."""


class PromptRendered(Struct, frozen=True, tag=True, array_like=True):
    """What was really sent: comes right after `GenerationStarted` where the request asked for it."""

    request_id: int
    tokens: tuple[PromptToken, ...]


class PrefillProgress(Struct, frozen=True, tag=True, array_like=True):
    """How far the prefill is, counted in new (uncached) tokens."""

    request_id: int
    n_done: int
    n_total: int
    ms: float
    """Since the prefill began."""


class TokensGenerated(Struct, frozen=True, tag=True, array_like=True):
    """What one step added to a reply."""

    request_id: int
    text: str
    """To be shown: whole UTF-8, stop strings held back; may be empty, and may cover earlier tokens."""
    tokens: tuple[TokenTrace, ...]
    n_thinking: int = 0
    """Characters at the beginning of `text` that a sampling set for thinking wrote: no part of a constrained answer."""


class Paused(Struct, frozen=True, tag=True, array_like=True):
    """The request holds its slot and waits for `Resume` or `Abort`; every token before it has been sent."""

    request_id: int
    n_generated: int
    prediction: Prediction
    """What it would draw from next."""


class ContextShifted(Struct, frozen=True, tag=True, array_like=True):
    """The window was full: the oldest part after the first `n_kept` tokens was forgotten, and the reply goes on.

    What stays was computed with the forgotten part in view, so that it is not what a new prefill would give.
    """

    request_id: int
    n_kept: int
    n_discarded: int


class GenerationFinished(Struct, frozen=True, tag=True, array_like=True):
    """The end of a request; always the last event that names it."""

    request_id: int
    finish_reason: FinishReason
    usage: Usage
    timings: Timings
    stop: Stop | None = None
    error: str = ""
    """With `FinishReason.ERROR`: what happened."""
    hint: str = ""
    drafting: DraftCounts | None = None
    """None where nothing was to be drafted."""
    cells: tuple[CellSpan, ...] = ()
    """The window at the end, first cell to last; empty where the request never had a place in it."""
    incomplete: bool = False
    """Whether the reply ended inside its grammar: its JSON, for one, is cut off."""


class PromptFit(Struct, frozen=True, array_like=True):
    """How a prompt would fit the context window: exactly what `ContextTrimmed` and `GenerationStarted` would say."""

    spans: PromptSpans
    n_messages: int = 0
    """The oldest ones, which would be left out."""
    n_tokens: int = 0
    """How much shorter the prompt is for it."""
    shifts: bool = False
    """Whether a reply that fills the window goes on."""


class Tokenized(Struct, frozen=True, tag=True, array_like=True):
    """The answer to `Tokenize`."""

    request_id: int
    tokens: tuple[PromptToken, ...] = ()
    error: str = ""
    fit: PromptFit | None = None
    """Where it was asked for."""
    n_least: int = 0
    """Where a prompt cannot fit, and so is not counted: it has so many tokens or more."""


class Predicted(Struct, frozen=True, tag=True, array_like=True):
    """The answer to `Predict`; without a prediction, `error` says why."""

    request_id: int
    n_prompt: int = 0
    prediction: Prediction | None = None
    error: str = ""
    notices: tuple[str, ...] = ()
    """What the user should know of how the request was understood."""


class Scored(Struct, frozen=True, tag=True, array_like=True):
    """The next tokens of a `Score`, in order; the first token of a text has p 1 where nothing stands before it."""

    request_id: int
    tokens: tuple[TokenTrace, ...]


class ScoreFinished(Struct, frozen=True, tag=True, array_like=True):
    """The end of a `Score`; always the last event that names it."""

    request_id: int
    n_tokens: int = 0
    n_scored: int = 0
    """Tokens that count for the perplexity, exp(nll / n_scored): the later half of each window, as llama-perplexity."""
    nll: float = 0.0
    """Sum of their negative log-probabilities (natural logarithm)."""
    error: str = ""


class BenchMeasured(Struct, frozen=True, tag=True, array_like=True):
    """One repetition of a `Bench`."""

    request_id: int
    seconds: float
    """By the engine's clock, from the first decode to the end of the last."""


class BenchFinished(Struct, frozen=True, tag=True, array_like=True):
    """The end of a `Bench`; always the last event that names it."""

    request_id: int
    error: str = ""


class Pong(Struct, frozen=True, tag=True, array_like=True):
    """The answer to `Ping`."""

    still_s: float = 0.0
    """For how long the worker has made no step, used no CPU time and read nothing; 0 while it has nothing to do."""


class EngineLost(Struct, frozen=True, tag=True, array_like=True):
    """The worker is gone."""

    exit_code: int | None
    """As `subprocess` counts: negative for a signal; None when it is not known."""
    reason: str
    """In words, as in `killed by SIGKILL`."""
    log_tail: str = ""
    """The last lines of the worker's log."""
    wished: bool = False
    """Whether a person's wish ended it: it hung when it was asked to stop, or was to be restarted."""


ScoreEvent = Scored | ScoreFinished | EngineLost
BenchEvent = BenchMeasured | BenchFinished | EngineLost
GenerationEvent = (
    ContextTrimmed
    | SlotsHeld
    | GenerationStarted
    | CellsReported
    | PromptRendered
    | PrefillProgress
    | TokensGenerated
    | Paused
    | ContextShifted
    | GenerationFinished
    | EngineLost
)
LoadEvent = LoadProgress | ModelReady | LoadFailed | EngineLost
Event = (
    Hello
    | LoadProgress
    | ModelReady
    | LoadFailed
    | ContextTrimmed
    | SlotsHeld
    | GenerationStarted
    | CellsReported
    | PromptRendered
    | PrefillProgress
    | TokensGenerated
    | Paused
    | ContextShifted
    | GenerationFinished
    | Tokenized
    | Predicted
    | Scored
    | ScoreFinished
    | BenchMeasured
    | BenchFinished
    | Pong
    | EngineLost
)
