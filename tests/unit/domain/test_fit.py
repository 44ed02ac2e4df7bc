"""The fit of a model into memory, byte by byte, on machines that nobody has here."""

from __future__ import annotations

import msgspec
import pytest

from app.domain.fit import DeviceMemory, fit
from app.domain.model import KvType, LoadOptions, ModelSizes

MIB, GIB = 1 << 20, 1 << 30
SIZES = ModelSizes(
    layer_bytes=(128 * MIB,) * 32,
    input_bytes=256 * MIB,
    output_bytes=512 * MIB,
    n_embd=4096,
    n_ff=14336,
    n_head=32,
    kv_width=2048,
    n_vocab=128256,
    n_ctx_train=131072,
)
"""Llama 3.1 8B, about as Q4_K: 4.5 GiB of layers and output; 128 KiB of KV a token."""
COMPUTE = 512 * (3 * 14336 + 4 * 4096) * 4 + 512 * 8192 * 2
"""Of a window of 8192 tokens: 124 MiB."""
KV = 8192 * 32 * 2048 * 2
RAM = DeviceMemory("CPU", "CPU", 64 * GIB)


def gpu(gib: float, name: str = "CUDA0", kind: str = "GPU") -> DeviceMemory:
    return DeviceMemory(name, kind, round(gib * GIB))


def test_the_margin_is_a_tenth_or_a_gibibyte_or_half() -> None:
    assert gpu(24).usable_bytes == 24 * GIB - 24 * GIB // 10
    assert gpu(8).usable_bytes == 7 * GIB
    assert gpu(1).usable_bytes == GIB // 2


def test_sizes_of_smollm2_are_those_that_llama_cpp_reserved() -> None:
    """Figures of its log: KV 180.00 MiB; compute 21.51, 166.38 without flash attention, 5.38 with ubatch 128."""
    sizes = ModelSizes((0,) * 30, 0, 0, 576, 1536, 9, 384, 49152, 8192)
    assert sizes.kv_bytes(30, 8192, KvType.F16) == 180 * MIB
    assert sizes.kv_bytes(30, 8192, KvType.Q8_0) == 95.625 * MIB
    assert sizes.compute_bytes(8192, LoadOptions()) / MIB == pytest.approx(21.51, rel=0.01)
    assert sizes.compute_bytes(8192, LoadOptions(n_ubatch=128)) / MIB == pytest.approx(5.38, rel=0.01)
    assert 166.38 * MIB <= sizes.compute_bytes(8192, LoadOptions(flash_attn="off")) <= 1.05 * 166.38 * MIB
    wide = msgspec.structs.replace(sizes, n_vocab=262144)
    assert wide.compute_bytes(8192, LoadOptions()) == 16 * 262144 * 4 + 512 * 8192 * 2


def test_a_large_gpu_takes_everything() -> None:
    plan = fit(SIZES, [gpu(24), RAM], LoadOptions())
    assert (plan.n_gpu_layers, plan.n_ctx, plan.n_slots, plan.tensor_split) == (33, 8192, 2, ())
    on_gpu, on_cpu = plan.shares
    assert (on_gpu.n_layers, on_gpu.weight_bytes) == (33, 32 * 128 * MIB + 512 * MIB)
    assert (on_gpu.kv_bytes, on_gpu.compute_bytes) == (2 * KV, COMPUTE)
    assert (on_cpu.n_layers, on_cpu.total_bytes) == (0, 256 * MIB)
    assert plan.fits
    assert (plan.shortfalls, plan.warnings) == ((), ())
    room = on_gpu.memory.usable_bytes - on_gpu.weight_bytes - (COMPUTE - 512 * 8192 * 2)
    assert plan.max_n_ctx == room // (2 * 32 * 4096 + 1024) // 256 * 256


def test_auto_is_the_same_as_nothing() -> None:
    assert fit(SIZES, [gpu(8), RAM], LoadOptions(n_gpu_layers="auto")) == fit(SIZES, [gpu(8), RAM], LoadOptions())


def test_a_slot_is_given_up_before_a_layer() -> None:
    plan = fit(SIZES, [gpu(7.5), RAM], LoadOptions())
    assert (plan.n_gpu_layers, plan.n_ctx, plan.n_slots) == (33, 8192, 1)
    assert plan.shortfalls == ("1 resident conversation in place of 2: more do not fit in memory",)


def test_a_small_gpu_takes_the_last_layers() -> None:
    """6 GiB less a margin of 1, less compute and the output: each layer is 128 MiB and 2 slots of 32 MiB of KV."""
    plan = fit(SIZES, [gpu(6), RAM], LoadOptions())
    n_layers = (5 * GIB - COMPUTE - 512 * MIB) // (192 * MIB)
    assert (plan.n_gpu_layers, plan.n_slots) == (n_layers + 1, 2) == (24, 2)
    on_gpu, on_cpu = plan.shares
    assert on_gpu.kv_bytes == 23 * 64 * MIB
    assert (on_cpu.n_layers, on_cpu.weight_bytes) == (9, 9 * 128 * MIB + 256 * MIB)
    assert plan.shortfalls == ("24 of 33 layers on the GPU: more do not fit in its memory",)


def test_two_gpus_are_filled_in_order() -> None:
    plan = fit(SIZES, [gpu(6), gpu(6, "CUDA1"), RAM], LoadOptions())
    first, second, cpu = plan.shares
    assert plan.n_gpu_layers == 33
    assert first.n_layers == (5 * GIB - COMPUTE) // (192 * MIB) == 26
    assert (second.n_layers, second.weight_bytes, second.kv_bytes) == (7, 6 * 128 * MIB + 512 * MIB, 6 * 64 * MIB)
    assert plan.tensor_split == (26.0, 7.0)
    assert cpu.n_layers == 0
    assert plan.fits


def test_one_gpu_of_two_is_enough_where_it_holds_all() -> None:
    assert fit(SIZES, [gpu(24), gpu(24, "CUDA1"), RAM], LoadOptions()).tensor_split == (33.0, 0.0)


def test_the_users_proportions_are_kept() -> None:
    plan = fit(SIZES, [gpu(24), gpu(24, "CUDA1"), RAM], LoadOptions(tensor_split=(3, 1)))
    assert plan.tensor_split == (25.0, 8.0)  # llama.cpp: layer i goes to the first bound above i/33
    small = fit(SIZES, [gpu(24), gpu(2.5, "CUDA1"), RAM], LoadOptions(tensor_split=(3, 1)))
    assert small.n_gpu_layers < 33
    assert all(share.fits for share in small.shares)


def test_one_gpu_is_used_where_splitting_is_off() -> None:
    plan = fit(SIZES, [gpu(4), gpu(24, "CUDA1"), RAM], LoadOptions(split_mode="none", main_gpu=1))
    assert [share.memory.name for share in plan.shares] == ["CUDA1", "CPU"]
    assert (plan.n_gpu_layers, plan.tensor_split) == (33, ())


def test_an_integrated_gpu_counts_only_alone() -> None:
    igpu = gpu(30, "Vulkan1", "IGPU")
    assert [s.memory.name for s in fit(SIZES, [gpu(24), igpu, RAM], LoadOptions()).shares] == ["CUDA0", "CPU"]
    assert fit(SIZES, [igpu, RAM], LoadOptions()).n_gpu_layers == 33


def test_what_is_fixed_is_kept_and_warned_of() -> None:
    plan = fit(SIZES, [gpu(6), RAM], LoadOptions(n_gpu_layers=-1, n_ctx=16384, n_slots=1))
    assert (plan.n_gpu_layers, plan.n_ctx, plan.n_slots) == (33, 16384, 1)
    assert not plan.fits
    assert plan.warnings == ("CUDA0 may run out of memory: 6.6 GiB for 5.0 GiB that can be used",)
    assert fit(SIZES, [gpu(24), RAM], LoadOptions(n_gpu_layers=0)).shares[0].total_bytes == 0


def test_without_a_gpu_the_cpu_holds_all() -> None:
    plan = fit(SIZES, [RAM], LoadOptions())
    assert (plan.n_gpu_layers, plan.n_ctx, plan.n_slots) == (0, 8192, 2)
    assert plan.shares[0].weight_bytes == 32 * 128 * MIB + 512 * MIB + 256 * MIB
    assert (plan.shortfalls, plan.warnings) == ((), ())


def test_tied_embeddings_are_in_memory_once_on_the_cpu() -> None:
    tied = msgspec.structs.replace(SIZES, input_bytes=512 * MIB, tied=True)
    assert fit(tied, [RAM], LoadOptions()).shares[0].weight_bytes == 32 * 128 * MIB + 512 * MIB
    on_gpu, on_cpu = fit(tied, [gpu(24), RAM], LoadOptions()).shares
    assert (on_gpu.weight_bytes, on_cpu.weight_bytes) == (32 * 128 * MIB + 512 * MIB, 512 * MIB)


def test_a_small_laptop_gets_a_slot_less_then_a_smaller_window() -> None:
    roomy = fit(SIZES, [DeviceMemory("CPU", "CPU", 8 * GIB)], LoadOptions())
    assert (roomy.n_ctx, roomy.n_slots) == (8192, 2)  # 4.75 + 2 + 0.12 of 7 GiB
    assert fit(SIZES, [DeviceMemory("CPU", "CPU", 7 * GIB)], LoadOptions()).n_slots == 1
    tight = fit(SIZES, [DeviceMemory("CPU", "CPU", 6.5 * GIB // 1)], LoadOptions())
    assert (tight.n_ctx, tight.n_slots) == (4096, 1)
    assert tight.shortfalls[-1] == "context window 4096 tokens in place of 8192: more does not fit in memory"
    assert 4096 <= tight.max_n_ctx < 8192


def test_weights_beyond_memory_are_mapped_and_said() -> None:
    plan = fit(SIZES, [DeviceMemory("CPU", "CPU", 4 * GIB)], LoadOptions())
    assert (plan.n_ctx, plan.n_slots, plan.max_n_ctx) == (4096, 1, 0)  # KV and scratch within a quarter of 3 GiB
    assert "4.8 GiB of weights for 3.0 GiB of memory: they will be read from disk again and again" in plan.warnings


def test_quantised_kv_makes_room() -> None:
    options = LoadOptions(kv_type=KvType.Q8_0)
    assert fit(SIZES, [gpu(7.5), RAM], options).n_slots == 2


def test_a_plan_survives_the_wire() -> None:
    command = msgspec.msgpack.encode(SIZES)
    assert msgspec.msgpack.decode(command, type=ModelSizes) == SIZES


DRAFT = ModelSizes(
    layer_bytes=(32 * MIB,) * 16,
    input_bytes=200 * MIB,
    output_bytes=200 * MIB,
    n_embd=2048,
    n_ff=8192,
    n_head=32,
    kv_width=1024,
    n_vocab=128256,
    n_ctx_train=131072,
    tied=True,
)
"""Llama 3.2 1B, about as Q4_K: 32 KiB of KV a token."""
WITH_DRAFT = msgspec.structs.replace(SIZES, draft=DRAFT)
DRAFT_COMPUTE = 512 * (3 * 8192 + 4 * 2048) * 4 + 512 * 8192 * 2


def draft_bytes(n_slots: int, n_ctx: int = 8192) -> int:
    return 16 * 32 * MIB + 200 * MIB + n_slots * n_ctx * 16 * 1024 * 2 + DRAFT_COMPUTE - 1024 * (8192 - n_ctx)


def test_a_draft_model_lies_beside_its_target() -> None:
    plan = fit(WITH_DRAFT, [gpu(24), RAM], LoadOptions())
    on_gpu, on_cpu = plan.shares
    assert (plan.n_gpu_layers, plan.n_slots, plan.draft_gpu) == (33, 2, 0)
    assert on_gpu.memory.draft_bytes == draft_bytes(2)
    assert on_gpu.total_bytes == 32 * 128 * MIB + 512 * MIB + 2 * KV + COMPUTE + draft_bytes(2)
    assert (on_cpu.memory.draft_bytes, on_cpu.total_bytes) == (200 * MIB, 456 * MIB)


def test_the_split_leaves_room_for_the_draft_model() -> None:
    """Without it 24 of 33 layers fit, see above."""
    plan = fit(WITH_DRAFT, [gpu(6), RAM], LoadOptions())
    assert (plan.n_slots, plan.draft_gpu) == (2, 0)
    assert plan.n_gpu_layers == (5 * GIB - draft_bytes(2) - COMPUTE - 512 * MIB) // (192 * MIB) + 1 < 24
    assert all(share.fits for share in plan.shares)


def test_the_draft_model_lies_on_the_last_gpu_that_has_room_for_it() -> None:
    devices = [gpu(24), gpu(24, "CUDA1"), gpu(1, "CUDA2"), RAM]
    plan = fit(WITH_DRAFT, devices, LoadOptions())
    assert plan.draft_gpu == 1
    assert [share.memory.draft_bytes for share in plan.shares] == [0, draft_bytes(2), 0, 200 * MIB]
    assert plan.tensor_split == (33.0, 0.0, 0.0)
    assert fit(WITH_DRAFT, devices, LoadOptions(split_mode="none", main_gpu=1)).draft_gpu == 1


@pytest.mark.parametrize(("gib", "options"), [(1, LoadOptions()), (24, LoadOptions(n_gpu_layers=0))])
def test_a_draft_model_that_no_gpu_may_take_lies_on_the_cpu(gib: int, options: LoadOptions) -> None:
    plan = fit(WITH_DRAFT, [gpu(gib), RAM], options)
    assert plan.draft_gpu is None
    assert [share.memory.draft_bytes for share in plan.shares] == [0, draft_bytes(plan.n_slots)]


def test_a_draft_model_costs_a_slot_and_window_where_memory_is_short() -> None:
    ram = DeviceMemory("CPU", "CPU", round(8.4 * GIB))
    plain, drafting = fit(SIZES, [ram], LoadOptions()), fit(WITH_DRAFT, [ram], LoadOptions())
    assert (plain.n_slots, drafting.n_slots) == (2, 1)
    assert drafting.fits
    growing = KV + 512 * 8192 * 2 + draft_bytes(1) - draft_bytes(1, 0)
    still = drafting.shares[0].total_bytes - growing
    assert drafting.max_n_ctx == (ram.usable_bytes - still) * 8192 // growing // 256 * 256
