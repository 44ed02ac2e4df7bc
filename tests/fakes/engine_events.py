"""Events with exact figures, made one by one, for tests that fold over a stream without an engine.

The distribution is the geometric one, p = 2^-rank: its entropy is exactly 2 bits. The chain keeps the four most likely
tokens. A new prompt token costs 1 ms; of a token's time 1 ms is sampling and 1 ms its text.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from app.domain.generation import CellSpan, DraftCounts, FinishReason, Stop, Timings, Usage
from app.domain.trace import Draw, Origin, Prediction, PromptToken, StageTrace, TokenTrace, TopToken
from app.protocol.events import (
    PROTOCOL_VERSION,
    Device,
    EngineLost,
    GenerationFinished,
    Hello,
    LayerPlacement,
    ModelReady,
    NativeFacts,
)

BUILD = "llama-cpp-python 0.3.36 (scripted)"
EOG = Stop("eog", "<|im_end|>", 2)
MODEL_PATH = "/models/SmolLM2-135M-Instruct.Q4_1.gguf"
N_VOCAB = 49_152
N_KEPT = 4
"""Candidates that the scripted chain leaves."""
UNLIKELY = 11
"""The rank of a forced token that was no candidate."""


def make_hello(pid: int = 4242) -> Hello:
    """What a worker on a machine without GPU says."""
    return Hello(PROTOCOL_VERSION, pid, BUILD, (Device("CPU", "Scripted CPU", "CPU", 4 << 30, 8 << 30),))


def make_ready(path: str = MODEL_PATH, **changes: Any) -> ModelReady:
    """SmolLM2-135M-Instruct Q4_1 with a window of 8192 tokens and two slots; `changes` may be of its native facts."""
    native = NativeFacts(
        architecture="llama",
        quant="Q4_1",
        n_params=134_515_008,
        model_bytes=96_700_000,
        kv_bytes=377_487_360,
        n_ctx_train=8192,
        n_vocab=N_VOCAB,
        n_slots=2,
        n_layers=30,
        placement=(LayerPlacement("CPU", 30),),
        n_threads=2,
        flash_attn="auto",
        build=BUILD,
    )
    inside = {name: changes.pop(name) for name in NativeFacts.__struct_fields__ if name in changes}
    native = msgspec.structs.replace(native, **inside)
    ready = ModelReady(path=path, title="SmolLM2 135M Instruct", n_ctx=8192, load_ms=180.0, native=native)
    return msgspec.structs.replace(ready, **changes)


def make_token(
    text: str, index: int = 0, *, ms: float = 10.0, rank: int = 1, n_top: int = 10, stages: bool = False
) -> TokenTrace:
    """Token `100 + index` chosen at `rank` with p = 2^-rank; the alternatives are ` alt1`, ` alt2` … in their ranks.

    With `stages` its trace has the stage report and the draw, which fell in the middle of the token's place.
    """
    token_id = 100 + index
    low = sum(kept(place) for place in range(1, rank))
    high = low + kept(rank)
    return TokenTrace(
        token_id,
        text,
        ms,
        0.5**rank,
        -rank * math.log(2),
        rank,
        2.0,
        _top(token_id, text, rank, n_top),
        stages=make_stages(n_top) if stages else (),
        draw=Draw((low + high) / 2, low, high) if stages else None,
        n_bytes=len(text.encode()),
        decode_ms=max(0.0, ms - 2.0),
        sample_ms=1.0,
        text_ms=1.0,
    )


def make_eog(*, ms: float = 10.0, n_top: int = 10, stages: bool = False) -> TokenTrace:
    """The token that ends a reply."""
    token = make_token(EOG.text, ms=ms, n_top=n_top, stages=stages)
    top = tuple(TopToken(2, EOG.text, each.p) if each.id == token.id else each for each in token.top)
    return msgspec.structs.replace(token, id=2, top=top, n_bytes=0, p_end=token.p)


def make_forced(text: str, index: int, before: Prediction, *, token_id: int | None = None) -> TokenTrace:
    """A token that was put in the place of a draw from `before`: as likely as it was there, else at rank 11."""
    found = [place for place, top in enumerate(before.before, 1) if token_id == top.id or text == top.text]
    token = make_token(text, index, rank=found[0] if found else UNLIKELY, n_top=0)
    own = before.before[found[0] - 1].id if found else token.id if token_id is None else token_id
    return msgspec.structs.replace(token, id=own, top=before.before, origin=Origin.FORCED)


def make_prediction(text: str, index: int = 0, *, rank: int = 1, n_top: int = 10, p_end: float = 0.0) -> Prediction:
    """What the token that `make_token` makes of the same is drawn from."""
    before = _top(100 + index, text, rank, n_top)
    after = tuple(TopToken(top.id, top.text, kept(place)) for place, top in enumerate(before[:N_KEPT], 1))
    return Prediction(2.0, p_end, before, after, make_stages(n_top))


def make_stages(n_top: int = 10) -> tuple[StageTrace, ...]:
    """Top-k 4, temperature 1 and the draw."""
    p = tuple(kept(place) for place in range(1, n_top + 1))
    return (
        StageTrace("top-k", N_VOCAB, N_KEPT, p),
        StageTrace("temperature", N_KEPT, N_KEPT, p),
        StageTrace("dist", N_KEPT, N_KEPT, p),
    )


def kept(rank: int) -> float:
    """The probability after the chain: 8/15, 4/15, 2/15, 1/15."""
    return 0.5**rank / (1 - 0.5**N_KEPT) if rank <= N_KEPT else 0.0


def _top(token_id: int, text: str, rank: int, n_top: int) -> tuple[TopToken, ...]:
    return tuple(
        TopToken(token_id, text, 0.5**place) if place == rank else TopToken(1000 + place, f" alt{place}", 0.5**place)
        for place in range(1, n_top + 1)
    )


def make_prompt(n_tokens: int) -> tuple[PromptToken, ...]:
    """A rendered prompt of that many tokens: a control token, then ` p1`, ` p2` …"""
    words = (f" p{place}" for place in range(1, n_tokens))
    opener = PromptToken(1, "<|im_start|>", 12, is_control=True)
    return (opener, *(PromptToken(300 + place, word, len(word)) for place, word in enumerate(words, 1)))[:n_tokens]


def make_finished(
    request_id: int = 1,
    reason: FinishReason = FinishReason.STOP,
    *,
    stop: Stop | None = None,
    n_prompt: int = 20,
    n_cached: int = 0,
    n_generated: int = 0,
    token_ms: float = 10.0,
    error: str = "",
    hint: str = "",
    drafting: DraftCounts | None = None,
    cells: tuple[CellSpan, ...] = (),
    incomplete: bool = False,
) -> GenerationFinished:
    """The end of a request, its times exact: 1 ms a new prompt token, `token_ms` a generated one."""
    n_new = n_prompt - n_cached
    decode_ms = token_ms * max(0, n_generated - 1)
    step_ms = token_ms if n_generated > 1 else 0.0
    timings = Timings(
        prefill_ms=float(n_new),
        ttft_ms=n_new + token_ms if n_generated else 0.0,
        decode_ms=decode_ms,
        prefill_tps=1000.0 if n_new else 0.0,
        decode_tps=1000.0 / token_ms if decode_ms else 0.0,
        p50_ms=step_ms,
        p95_ms=step_ms,
    )
    usage = Usage(n_prompt, n_cached, n_generated)
    return GenerationFinished(request_id, reason, usage, timings, stop, error, hint, drafting, cells, incomplete)


def make_lost(exit_code: int | None = -9, reason: str = "killed by SIGKILL") -> EngineLost:
    """The end of a worker."""
    return EngineLost(exit_code, reason, "ggml: the last line\nof the log")


def split_evenly(n_total: int, n_steps: int) -> list[int]:
    """The running totals of `n_total` done in `n_steps`; empty when there is nothing to do."""
    if not n_total:
        return []
    return [n_total * (step + 1) // n_steps for step in range(n_steps)]
