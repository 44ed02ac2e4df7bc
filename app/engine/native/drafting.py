"""The draft model: a second GGUF with the target's vocabulary and a context of its own."""

from __future__ import annotations

import os

import msgspec

from app.domain.fit import LoadPlan
from app.domain.model import LoadOptions
from app.engine.core.backend import Sampler
from app.engine.core.model_drafter import ModelDrafter
from app.engine.core.tuning import DecodeTuner
from app.engine.native.context import ContextError, NativeContext
from app.engine.native.devices import has_gpu
from app.engine.native.loader import LoadedModel, is_out_of_memory
from app.engine.native.model import LoadError, NativeModel

_FIRST_CHECKED = 5
"""The first ids are often special tokens, which models of one family name differently; llama.cpp allows it too."""
_MOST_MORE = 128
_MEASURED_AGAIN = 8
"""Requests after which the cost of a draft is measured again: the machine may have been busy the last time."""


class DraftModel:
    """Owns the draft model and its context, which has one sequence for each slot of the target."""

    def __init__(self, path: str, loaded: LoadedModel, options: LoadOptions) -> None:
        """Loads `path` beside its target; on the CPU if it does not fit on the GPU, with a notice in `loaded`.

        Raises LoadError, also if its vocabulary does not match the target's.
        """
        target, beside = loaded.model, loaded.context
        options = msgspec.structs.replace(options, n_slots=beside.n_slots, draft=None, lora=(), tensor_split=())
        options = _placed(options, loaded.plan)
        try:
            self._model, self.context = _load(path, options, loaded)
        except LoadError as error:
            if options.n_gpu_layers == 0 or not is_out_of_memory(str(error)):
                raise
            on_cpu = msgspec.structs.replace(options, n_gpu_layers=0)
            self._model, self.context = _load(path, on_cpu, loaded)
            loaded.notices.append(f"the draft model did not fit on the GPU and runs on the CPU: {error}")
        self.name = self._model.name
        self._n_vocab = target.vocab.n_vocab
        self._pace = DecodeTuner(self.context)
        self._n_drafters = 0
        self._cells: dict[int, list[int]] = {i: [] for i in range(beside.n_slots)}

    def drafter(self, seq_id: int, sampler: Sampler) -> ModelDrafter:
        """A drafter for the request in slot `seq_id` of the target."""
        self._n_drafters += 1
        if self._n_drafters % _MEASURED_AGAIN == 0:
            self._pace = DecodeTuner(self.context)
        return ModelDrafter(self.context, seq_id, sampler, self._cells[seq_id], self._n_vocab, pace=self._pace)

    def close(self) -> None:
        """Frees the context, then the weights."""
        self.context.close()
        self._model.close()


def _placed(options: LoadOptions, plan: LoadPlan | None) -> LoadOptions:
    """`options` with the place that the plan gives the draft model: whole on one GPU, or on the CPU."""
    if plan is None:
        on_cpu = options.n_gpu_layers == 0 or not has_gpu()
        return msgspec.structs.replace(options, n_gpu_layers=0 if on_cpu else -1)
    if plan.draft_gpu is None:
        return msgspec.structs.replace(options, n_gpu_layers=0)
    return msgspec.structs.replace(options, n_gpu_layers=-1, split_mode="none", main_gpu=plan.draft_gpu)


def _load(path: str, options: LoadOptions, loaded: LoadedModel) -> tuple[NativeModel, NativeContext]:
    """Loads the draft model and makes its context, once. Raises LoadError, which names the draft model."""
    try:
        model = NativeModel(path, options, lambda fraction: True)
    except LoadError as error:
        raise LoadError(f"{_cannot(path)}: {error}") from error
    try:
        if mismatch := _mismatch(loaded.model, model):
            raise LoadError(f"{path} cannot draft for this model: {mismatch}; use one of the same family")
        return model, NativeContext(model, options, loaded.context.n_ctx)
    except ContextError as error:
        model.close()
        raise LoadError(f"{_cannot(path)}: cannot make a context of {loaded.context.n_ctx} tokens: {error}") from error
    except LoadError:
        model.close()
        raise


def _cannot(path: str) -> str:
    return f"the draft model {os.path.basename(path)} cannot be loaded beside the model"


def _mismatch(target: NativeModel, draft: NativeModel) -> str:
    """Why the vocabularies do not match (as in llama.cpp's common/speculative.cpp); empty if they do."""
    a, b = target.vocab, draft.vocab
    if abs(a.n_vocab - b.n_vocab) > _MOST_MORE:
        return f"its vocabulary has {b.n_vocab} tokens, the model's {a.n_vocab}"
    if (a.bos, a.eos, a.add_bos) != (b.bos, b.eos, b.add_bos):
        return "its BOS or EOS token differs"
    for token in range(_FIRST_CHECKED, min(a.n_vocab, b.n_vocab)):
        if a.named_pieces[token] != b.named_pieces[token]:
            texts = [vocab.named_pieces[token].decode("utf-8", "replace") for vocab in (a, b)]
            return f"token {token} is {texts[0]!r} in the model and {texts[1]!r} in the draft"
    return ""
