"""What one load asks for, and what the next one asks for after llama.cpp had no memory for it."""

from __future__ import annotations

import re

import msgspec
from msgspec import Struct

from app.domain.fit import SMALLEST_N_CTX
from app.domain.model import LoadOptions

_OF_MEMORY = re.compile(r"alloc|memory|buffer", re.IGNORECASE)


def is_of_memory(error: str) -> bool:
    """Whether memory ran out, as far as llama.cpp's words tell."""
    return bool(_OF_MEMORY.search(error))


class Attempt(Struct, frozen=True):
    """One combination. `n_gpu_layers` -1 is all of `n_layers`."""

    n_gpu_layers: int
    n_layers: int
    """Layers that can be offloaded, the output layer among them; 0 where nothing can take them."""
    n_ctx: int
    n_slots: int
    tensor_split: tuple[float, ...] = ()

    def options(self, asked: LoadOptions) -> LoadOptions:
        """The user's options with this combination in place of what they left open."""
        split = asked.tensor_split or self.tensor_split
        return msgspec.structs.replace(asked, n_gpu_layers=self.n_gpu_layers, n_slots=self.n_slots, tensor_split=split)

    def after_weights(self, error: str, asked: LoadOptions) -> Attempt | None:
        """The next attempt after the weights did not fit; None where another would fail in the same way."""
        return self._fewer_layers(asked) if is_of_memory(error) else None

    def after_context(self, error: str, asked: LoadOptions) -> Attempt | None:
        """The next attempt after the context did not fit: fewer slots, then fewer layers, then a smaller window."""
        if not is_of_memory(error):
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
