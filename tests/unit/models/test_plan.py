"""A header becomes the figures of a fit, and a fit of the devices that an engine named."""

from __future__ import annotations

import msgspec

from app.domain.fit import DeviceMemory
from app.domain.model import LoadOptions
from app.models.gguf import model_sizes, plan_load, read_header
from app.protocol.events import Device
from tests.fakes.tiny_gguf import gguf_bytes, llama_metadata, write_tiny_gguf
from tests.synthetic.shapes import SHAPES, metadata, tensors


def test_the_sizes_of_a_tied_model(tmp_path) -> None:
    header = read_header(write_tiny_gguf(tmp_path / "m.gguf"))
    sizes = model_sizes(header)
    embeddings, norm = 64 * 32 * 4, 32 * 4
    assert (sizes.input_bytes, sizes.output_bytes) == (embeddings + norm, embeddings + norm)
    assert sizes.layer_bytes == header.layer_bytes
    assert (sizes.kv_width, sizes.n_ff) == (2 * 2 * 8, 64)


def test_the_sizes_of_a_model_with_an_output_of_its_own(tmp_path) -> None:
    shape = SHAPES["tiny"]
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf_bytes(llama_metadata() | metadata(shape, "T", 2), tensors(shape, 2)))
    sizes = model_sizes(read_header(path))
    matrix = shape.n_embd * shape.n_vocab // 32 * 18
    assert (sizes.input_bytes, sizes.output_bytes) == (matrix, matrix + shape.n_embd * 4)


def test_adapters_lie_with_the_layers_that_they_change(tmp_path) -> None:
    header = read_header(write_tiny_gguf(tmp_path / "m.gguf"))
    plain, adapted = model_sizes(header), model_sizes(header, adapter_bytes=6 << 30)
    assert [b - a for a, b in zip(plain.layer_bytes, adapted.layer_bytes, strict=True)] == [3 << 30, 3 << 30]
    assert msgspec.structs.replace(adapted, layer_bytes=plain.layer_bytes) == plain
    gpu = [Device("CPU", "", "CPU", 64 << 30, 64 << 30), Device("CUDA0", "", "GPU", 5 << 30, 8 << 30)]
    assert [plan_load(sizes, gpu, LoadOptions()).n_gpu_layers for sizes in (plain, adapted)] == [3, 2]


def test_a_plan_is_made_of_the_devices_of_hello(tmp_path) -> None:
    header = msgspec.structs.replace(read_header(write_tiny_gguf(tmp_path / "m.gguf")), n_ctx_train=8192)
    devices = [
        Device("CPU", "Some CPU", "CPU", 8 << 30, 8 << 30),
        Device("BLAS", "", "ACCEL", 0, 0),
        Device("CUDA0", "Some GPU", "GPU", 4 << 30, 8 << 30),
    ]
    plan = plan_load(model_sizes(header), devices, LoadOptions())
    assert [share.memory for share in plan.shares] == [
        DeviceMemory("CUDA0", "GPU", 4 << 30),
        DeviceMemory("CPU", "CPU", 8 << 30),
    ]
    assert (plan.n_gpu_layers, plan.n_layers, plan.n_ctx) == (3, 3, 8192)
