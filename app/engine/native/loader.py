"""Loads a model and makes a context that fits into memory, in smaller attempts if memory runs out."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from msgspec import Struct

from app.domain.fit import SMALLEST_N_CTX, DeviceMemory, LoadPlan, default_n_ctx, fit, shortfalls
from app.domain.model import LoadOptions, ModelSizes
from app.engine.core.backend import ComputeError, Decoded
from app.engine.native import library
from app.engine.native.context import ContextError, NativeContext
from app.engine.native.devices import has_gpu, list_devices
from app.engine.native.model import LoadCancelled, LoadError, NativeModel
from app.protocol.events import AdapterReady, ModelReady, NativeFacts

_OUT_OF_MEMORY = re.compile(r"alloc|memory|buffer", re.IGNORECASE)


def is_out_of_memory(error: str) -> bool:
    """True if an error message of llama.cpp says that memory ran out."""
    return bool(_OUT_OF_MEMORY.search(error))


class Attempt(Struct, frozen=True):
    """One combination of what decides how much memory a load takes."""

    n_gpu_layers: int
    """-1 for all of `n_layers`."""
    n_layers: int
    """Layers that a GPU could take, output layer included; 0 without a GPU."""
    n_ctx: int
    n_slots: int
    tensor_split: tuple[float, ...] = ()

    def options(self, asked: LoadOptions) -> LoadOptions:
        """The user's options, completed by this combination."""
        split = asked.tensor_split or self.tensor_split
        return msgspec.structs.replace(asked, n_gpu_layers=self.n_gpu_layers, n_slots=self.n_slots, tensor_split=split)

    def after_weights(self, error: str, asked: LoadOptions) -> Attempt | None:
        """The next attempt if the weights failed with `error`; None if another attempt cannot help."""
        return self._fewer_layers(asked) if is_out_of_memory(error) else None

    def after_context(self, error: str, asked: LoadOptions) -> Attempt | None:
        """The next attempt if the context failed with `error`: one slot, then fewer layers, then a smaller window.

        None if another attempt cannot help.
        """
        if not is_out_of_memory(error):
            return None
        if self.n_slots > 1:
            return msgspec.structs.replace(self, n_slots=1)
        if fewer := self._fewer_layers(asked):
            return fewer
        if asked.n_ctx is None and self.n_ctx // 2 >= SMALLEST_N_CTX:
            return msgspec.structs.replace(self, n_ctx=self.n_ctx // 2)
        return None

    def _fewer_layers(self, asked: LoadOptions) -> Attempt | None:
        n = self.n_layers if self.n_gpu_layers < 0 else self.n_gpu_layers
        if not n or isinstance(asked.n_gpu_layers, int):
            return None
        return msgspec.structs.replace(self, n_gpu_layers=min(n - 1, n * 3 // 4))


_CANNOT_CUT = (
    "this model's memory cannot be cut: after an edit, and for another version of a reply, the engine recomputes from "
    "a checkpoint; it drafts nothing"
)
_PRINTED_BYTES = (1 << 20) / 100
"""Bytes in the last digit of a size in llama.cpp's log."""


@dataclass
class LoadedModel:
    """A model and its context; `close` frees both in the right order."""

    model: NativeModel
    context: NativeContext
    options: LoadOptions
    """The options in effect, complete."""
    notices: list[str]
    load_ms: float
    plan: LoadPlan | None = None
    """The memory plan made before the load; None if the header of the file was not read."""

    def close(self) -> None:
        """Frees the context, then the weights."""
        self.context.close()
        self.model.close()


def load(
    path: str, options: LoadOptions, progress: Callable[[float], bool], sizes: ModelSizes | None = None
) -> LoadedModel:
    """Loads a GGUF and makes its context.

    Plans memory first (`app.domain.fit`) if `sizes` are known. If memory runs out all the same, makes smaller attempts
    and adds notices. `progress`: takes the fraction loaded, 0 to 1; returns False to cancel.

    Raises LoadError; LoadCancelled if `progress` returned False; ComputeError if the first decode fails.
    """
    began = time.perf_counter()
    plan = fit(sizes, _memories(), options) if sizes else None
    attempt = _first(plan, options)
    failures: list[str] = []
    while True:
        try:
            model = NativeModel(path, attempt.options(options), progress)
        except LoadCancelled:
            raise
        except LoadError as error:
            failures.append(str(error))
            following = attempt.after_weights(str(error), options)
            if following is None:
                raise
            attempt = following
            continue
        try:
            context, attempt = _context(model, options, attempt, failures)
            if context:
                _verify(context)
                break
        except BaseException:
            model.close()
            raise
        model.close()
    notices = _notices(model, context, options, attempt, failures)
    notices += plan.warnings if plan else ()
    notices += () if context.partial_removal else (_CANNOT_CUT,)
    notices += model.adapters.notices
    return LoadedModel(model, context, attempt.options(options), notices, (time.perf_counter() - began) * 1e3, plan)


def _memories() -> list[DeviceMemory]:
    offloads = has_gpu()
    devices = (device for device in list_devices() if offloads or device.kind == "CPU")
    return [DeviceMemory(device.name, device.kind, device.free_bytes) for device in devices]


def _first(plan: LoadPlan | None, options: LoadOptions) -> Attempt:
    if plan:
        on_gpu = any(share.memory.kind != "CPU" for share in plan.shares)
        n_layers = plan.n_layers if on_gpu else 0
        return Attempt(plan.n_gpu_layers, n_layers, plan.n_ctx, plan.n_slots, plan.tensor_split)
    fixed = options.n_gpu_layers
    n_gpu_layers = fixed if isinstance(fixed, int) else (-1 if has_gpu() else 0)
    return Attempt(n_gpu_layers, 0, 0, options.n_slots)


def _context(
    model: NativeModel, options: LoadOptions, attempt: Attempt, failures: list[str]
) -> tuple[NativeContext | None, Attempt]:
    """A context and the attempt that made it; None for the context if fewer layers must be tried first.

    Raises LoadError if nothing is left to try.
    """
    if not model.can_decode:
        raise LoadError("this model cannot generate text: it has no autoregressive decoder")
    if not attempt.n_ctx:  # without the header, the rest can be planned once the weights are in memory
        plan = fit(model.sizes(), _memories(), options)
        attempt = msgspec.structs.replace(attempt, n_ctx=plan.n_ctx, n_slots=plan.n_slots)
    while True:
        try:
            return NativeContext(model, attempt.options(options), attempt.n_ctx), attempt
        except ContextError as error:
            failures.append(str(error))
            following = attempt.after_context(str(error), options)
            if following is None:
                raise LoadError(f"cannot make a context of {attempt.n_ctx} tokens: {error}") from error
            if following.n_gpu_layers != attempt.n_gpu_layers:
                return None, following
            attempt = following


def _notices(
    model: NativeModel, context: NativeContext, options: LoadOptions, attempt: Attempt, failures: list[str]
) -> list[str]:
    wanted = options.n_ctx or default_n_ctx(model.n_ctx_train)
    n_gpu_layers = attempt.n_layers if attempt.n_gpu_layers < 0 else attempt.n_gpu_layers
    window = (context.n_ctx, context.n_slots)
    notices = list(shortfalls(n_gpu_layers, attempt.n_layers, window, options, wanted))
    if failures:
        notices.append(f"loaded on attempt {len(failures) + 1}; the first failed: {failures[0]}")
    if model.n_ctx_train and context.n_ctx > model.n_ctx_train:
        notices.append(f"the model was trained on {model.n_ctx_train} tokens; beyond them its text degrades")
    return notices


def _verify(context: NativeContext) -> None:
    """Warms the context up and sets `partial_removal`. Frees the context before it raises ComputeError."""
    try:
        _warm_up(context)
        context.partial_removal = _can_cut(context)
    except ComputeError:
        context.close()
        raise


def _warm_up(context: NativeContext) -> None:
    """Decodes one token, to take page faults and graph building out of the first request."""
    context.batch.clear()
    context.batch.add([0], 0, 0, 1)
    if context.decode() is Decoded.ABORTED:
        context.clear_abort()
    context.clear(0)


def _can_cut(context: NativeContext) -> bool:
    """True if a part of a sequence can be removed: tries it, as llama.cpp's common_context_can_seq_rm does."""
    context.batch.clear()
    context.batch.add([0, 0], 0, 0, 1)
    try:
        return context.decode() is Decoded.DONE and context.truncate(0, 1) and context.n_cells(0) == 1
    finally:
        context.clear(0)


def describe(loaded: LoadedModel, path: str, load_ms: float, sizes: ModelSizes | None = None) -> ModelReady:
    """Describes a loaded model. All figures are read back from llama.cpp, except `pass_bytes` (from the header)."""
    model, context = loaded.model, loaded.context
    return ModelReady(
        path=path,
        title=model.name,
        n_ctx=context.n_ctx,
        load_ms=load_ms,
        notices=tuple(loaded.notices),
        native=NativeFacts(
            architecture=model.architecture,
            quant=model.quant,
            n_params=model.n_params,
            model_bytes=model.size_bytes,
            kv_bytes=_exact_kv_bytes(context, sizes),
            n_ctx_train=model.n_ctx_train,
            n_vocab=context.n_vocab,
            n_slots=context.n_slots,
            n_layers=sum(on.n_layers for on in model.placement) or model.n_layers,
            placement=model.placement,
            n_threads=context.n_threads,
            flash_attn=context.flash_attn,
            build=library.build(),
            adapters=tuple(AdapterReady(each.name, each.path, each.scale) for each in model.adapters.wanted),
            pass_bytes=sizes.pass_bytes if sizes else 0,
        ),
    )


def _exact_kv_bytes(context: NativeContext, sizes: ModelSizes | None) -> int:
    """Bytes of the KV cache: the computed size if it agrees with llama.cpp's log, which rounds to 0.01 MiB."""
    if sizes is None:
        return context.kv_bytes
    exact = sizes.kv_bytes(len(sizes.layer_bytes), context.n_ctx * context.n_slots, context.kv_type)
    return exact if abs(exact - context.kv_bytes) < _PRINTED_BYTES else context.kv_bytes
