"""Loading: a file and options become a model with a context that fits, and a truthful account of both."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from app.domain.model import KvType, LoadOptions
from app.engine.core.backend import Decoded
from app.engine.native import library
from app.engine.native.context import ContextError, NativeContext
from app.engine.native.machine import available_bytes
from app.engine.native.model import LoadError, NativeModel
from app.protocol.events import ModelReady

DEFAULT_N_CTX = 8192
_SMALLEST_N_CTX = 512
_MEMORY_SHARE = 0.8
_KV_SCALE = {KvType.F32: 2.0, KvType.F16: 1.0, KvType.BF16: 1.0}
_QUANTISED_SCALE = 0.6


@dataclass
class Loaded:
    """A model and its context; `close` frees both in the right order."""

    model: NativeModel
    context: NativeContext
    notices: list[str]
    load_ms: float

    def close(self) -> None:
        """Frees the context, then the weights."""
        self.context.close()
        self.model.close()


def load(path: str, options: LoadOptions, progress: Callable[[float], bool]) -> Loaded:
    """Loads a GGUF and makes its context. Raises LoadError (LoadCancelled when `progress` returned False)."""
    began = time.perf_counter()
    model = NativeModel(path, options, progress)
    try:
        if not model.can_decode:
            raise LoadError("this model cannot generate text: it has no autoregressive decoder")
        notices: list[str] = []
        context = _context(model, options, notices)
        _warm_up(context)
    except BaseException:
        model.close()
        raise
    return Loaded(model, context, notices, (time.perf_counter() - began) * 1e3)


def _context(model: NativeModel, options: LoadOptions, notices: list[str]) -> NativeContext:
    """The largest context, up to what was asked, that fits: fewer slots first, then a smaller window."""
    wanted = options.n_ctx or min(model.n_ctx_train or DEFAULT_N_CTX, DEFAULT_N_CTX)
    n_ctx, n_slots = wanted, options.n_slots
    budget = available_bytes()
    per_token = model.kv_bytes_per_token * _KV_SCALE.get(options.kv_type, _QUANTISED_SCALE)
    while options.n_ctx is None and budget is not None and per_token * n_ctx * n_slots > _MEMORY_SHARE * budget:
        n_ctx, n_slots = _smaller(n_ctx, n_slots)
        if n_ctx < _SMALLEST_N_CTX:
            break
    while True:
        try:
            context = NativeContext(model, msgspec.structs.replace(options, n_slots=n_slots), n_ctx)
            break
        except ContextError as error:
            n_ctx, n_slots = _smaller(n_ctx, n_slots)
            if options.n_ctx is not None or n_ctx < _SMALLEST_N_CTX:
                raise LoadError(f"no context of {wanted} tokens: {error}") from error
    if context.n_ctx < wanted:
        notices.append(f"context window {context.n_ctx} tokens in place of {wanted}: more does not fit in memory")
    if model.n_ctx_train and context.n_ctx > model.n_ctx_train:
        notices.append(f"the model was trained on {model.n_ctx_train} tokens; beyond that its text degrades")
    return context


def _smaller(n_ctx: int, n_slots: int) -> tuple[int, int]:
    return (n_ctx, 1) if n_slots > 1 else (n_ctx // 2, 1)


def _warm_up(context: NativeContext) -> None:
    """Decodes one token, so that the first request does not pay for page faults and graph building."""
    context.batch.clear()
    context.batch.add([0], 0, 0, 1)
    if context.decode() is Decoded.ABORTED:
        context.clear_abort()
    context.clear(0)


def describe(loaded: Loaded, path: str, load_ms: float) -> ModelReady:
    """What the app is told: every figure read back from llama.cpp."""
    model, context = loaded.model, loaded.context
    return ModelReady(
        path=path,
        title=model.name,
        architecture=model.architecture,
        quant=model.quant,
        n_params=model.n_params,
        model_bytes=model.size_bytes,
        kv_bytes=context.kv_bytes,
        n_ctx=context.n_ctx,
        n_ctx_train=model.n_ctx_train,
        n_vocab=context.n_vocab,
        n_slots=context.n_slots,
        n_layers=sum(on.n_layers for on in model.placement) or model.n_layers,
        placement=model.placement,
        n_threads=context.n_threads,
        flash_attn=context.flash_attn,
        load_ms=load_ms,
        build=library.build(),
        has_template=model.chat_template is not None,
        notices=tuple(loaded.notices),
    )
