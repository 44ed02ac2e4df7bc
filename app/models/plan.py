"""What the header of a GGUF says of memory, and how a model would be loaded by devices that an engine has named."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.fit import Memory, Plan, fit
from app.domain.model import LoadOptions
from app.domain.sizes import ModelSizes
from app.models.gguf import GgufHeader
from app.protocol.events import Device


def model_sizes(header: GgufHeader, adapter_bytes: int = 0) -> ModelSizes:
    """The figures that `app.domain.fit` needs. Adapters lie with the weights that they change: in each layer a part."""
    own_output = 0 if header.tied else header.output_bytes
    per_layer = -(-adapter_bytes // max(1, len(header.layer_bytes)))
    return ModelSizes(
        layer_bytes=tuple(n_bytes + per_layer for n_bytes in header.layer_bytes),
        input_bytes=header.other_bytes - own_output,
        output_bytes=header.output_bytes,
        n_embd=header.n_embd,
        n_ff=header.n_ff,
        n_head=header.n_head,
        kv_width=header.n_head_kv * (header.n_embd_head_k + header.n_embd_head_v),
        n_vocab=header.n_vocab,
        n_ctx_train=header.n_ctx_train,
        tied=header.tied,
        pass_bytes=header.pass_bytes,
    )


def plan_load(sizes: ModelSizes, devices: Sequence[Device], options: LoadOptions) -> Plan:
    """How an engine that sees `devices` would load the model now."""
    memories = [Memory(device.name, device.kind, device.free_bytes) for device in devices]
    return fit(sizes, memories, options)
