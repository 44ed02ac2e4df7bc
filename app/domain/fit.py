"""Fits a model into free memory: chooses the split over the devices, the context window and the number of slots.

Pure arithmetic. The engine passes the devices that it sees at the load; `tok models plan` passes those that a worker
reports. As in llama.cpp, the last layers are offloaded and go to the devices in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Struct

from app.domain import units
from app.domain.model import LoadOptions, ModelSizes

DEFAULT_N_CTX = 8192
SMALLEST_N_CTX = 512
_GIB = 1 << 30
_CELLS = 256
"""llama.cpp rounds a context window up to this."""


class DeviceMemory(Struct, frozen=True, array_like=True):
    """The free memory of one device, and how much of it the draft model takes."""

    name: str
    kind: str
    """`CPU`, `GPU` or `IGPU`; other kinds hold no layers."""
    free_bytes: int
    draft_bytes: int = 0

    @property
    def usable_bytes(self) -> int:
        """Free memory less a margin of a tenth: at least 1 GiB, but never more than half."""
        return self.free_bytes - min(max(self.free_bytes // 10, _GIB), self.free_bytes // 2)


class Share(Struct, frozen=True, array_like=True):
    """The part of a model that is planned for one device."""

    memory: DeviceMemory
    n_layers: int
    """The output layer counts as one."""
    weight_bytes: int
    kv_bytes: int
    compute_bytes: int

    @property
    def total_bytes(self) -> int:
        """Memory that the device needs in total, the draft model included."""
        return self.weight_bytes + self.kv_bytes + self.compute_bytes + self.memory.draft_bytes

    @property
    def fits(self) -> bool:
        """Whether the device has that much and keeps its margin."""
        return self.total_bytes <= self.memory.usable_bytes


class LoadPlan(Struct, frozen=True, array_like=True):
    """How to load a model, and which limits forced that."""

    n_gpu_layers: int
    n_layers: int
    """Layers that could be offloaded, the output layer among them."""
    tensor_split: tuple[float, ...]
    """Layers of each GPU, in llama.cpp's order; empty with fewer than two GPUs."""
    n_ctx: int
    n_slots: int
    max_n_ctx: int
    """The largest window that this split leaves room for with `n_slots`; 0 if not even the weights fit."""
    shares: tuple[Share, ...]
    """GPUs in order, then the CPU."""
    shortfalls: tuple[str, ...] = ()
    """Automatic values that memory made smaller, in words."""
    warnings: tuple[str, ...] = ()
    """Risks of this plan, in words."""
    draft_gpu: int | None = None
    """The GPU, in llama.cpp's order, that holds the draft model; None for the CPU or without a draft model."""

    @property
    def fits(self) -> bool:
        """Whether every device has room for its share."""
        return all(share.fits for share in self.shares)


def fit(sizes: ModelSizes, memories: Sequence[DeviceMemory], options: LoadOptions) -> LoadPlan:
    """Plans a load. Keeps what `options` fixes, even if it does not fit, and chooses what they leave open.

    Gives up slots first, then layers, then the context window: a slow reply is better than one that forgets.
    """
    wanted = options.n_ctx or default_n_ctx(sizes.n_ctx_train)
    gpus, cpu = _gpus(memories, options), _cpu(memories)
    plans = [_best(sizes, gpus, cpu, options, window) for window in _windows(wanted, options)]
    everything = next((plan for plan in plans[:2] if plan.fits and plan.n_gpu_layers == plan.n_layers), None)
    plan = everything or next((plan for plan in plans if plan.fits), None)
    if plan is None:
        plan = next((plan for plan in plans if _bearable(plan)), plans[-1])
    most = plan.n_layers if gpus else 0
    short = shortfalls(plan.n_gpu_layers, most, (plan.n_ctx, plan.n_slots), options, wanted)
    warnings = tuple(_warning(share) for share in plan.shares if not share.fits)
    return msgspec.structs.replace(plan, shortfalls=short, warnings=warnings)


def default_n_ctx(n_ctx_train: int) -> int:
    """The default context window: the model's training length, up to 8192 tokens."""
    return min(n_ctx_train or DEFAULT_N_CTX, DEFAULT_N_CTX)


def _windows(wanted: int, options: LoadOptions) -> Iterator[tuple[int, int]]:
    """Context window and slots to try, best first."""
    yield wanted, options.n_slots
    if options.n_slots > 1:
        yield wanted, 1
    while options.n_ctx is None and wanted // 2 >= SMALLEST_N_CTX:
        wanted //= 2
        yield wanted, 1


def _gpus(memories: Sequence[DeviceMemory], options: LoadOptions) -> list[DeviceMemory]:
    """The GPUs that llama.cpp would use: an integrated one only without a discrete one; one alone if asked."""
    discrete = [memory for memory in memories if memory.kind == "GPU"]
    gpus = discrete or [memory for memory in memories if memory.kind == "IGPU"][:1]
    return gpus[options.main_gpu :][:1] if options.split_mode == "none" else gpus


def _cpu(memories: Sequence[DeviceMemory]) -> DeviceMemory:
    return next((memory for memory in memories if memory.kind == "CPU"), DeviceMemory("CPU", "CPU", 0))


def _best(
    sizes: ModelSizes, gpus: list[DeviceMemory], cpu: DeviceMemory, options: LoadOptions, window: tuple[int, int]
) -> LoadPlan:
    """The plan with the most layers on the GPUs for one window; a fixed number of layers is kept."""
    n_ctx = -(-window[0] // _CELLS) * _CELLS
    options = msgspec.structs.replace(options, n_slots=window[1])
    gpus, cpu, draft_gpu = _beside_draft(sizes, gpus, cpu, options, n_ctx)
    most = sizes.n_offloadable if gpus else 0
    fixed = options.n_gpu_layers
    if isinstance(fixed, int):
        first = min(fixed if fixed >= 0 else most, most)
        lowest = first
    else:
        first, lowest = most, 0
    n, counts = lowest, [0] * len(gpus)
    for n in range(first, lowest - 1, -1):
        counts = _by_share(n, options.tensor_split, len(gpus)) or _filled(sizes, gpus, options, n_ctx, n)
        if sum(counts) == n and all(share.fits for share in _shares(sizes, gpus, counts, n_ctx, options)):
            break
    if sum(counts) < n:  # a fixed number that does not fit: the last device takes the rest
        counts[-1] += n - sum(counts)
    on_gpus = _shares(sizes, gpus, counts, n_ctx, options)
    shares = (*on_gpus, _share(sizes, cpu, range(sizes.n_offloadable - n), n_ctx, options))
    split = tuple(map(float, counts)) if len(gpus) > 1 else ()
    room = _max_n_ctx(sizes, shares, n_ctx, options)
    return LoadPlan(n, sizes.n_offloadable, split, n_ctx, window[1], room, shares, draft_gpu=draft_gpu)


def _beside_draft(
    sizes: ModelSizes, gpus: list[DeviceMemory], cpu: DeviceMemory, options: LoadOptions, n_ctx: int
) -> tuple[list[DeviceMemory], DeviceMemory, int | None]:
    """The devices less the draft model's memory, and the GPU that holds it.

    The last GPU with room takes all of it (the model itself fills the first GPUs first), else the CPU does.
    """
    draft = sizes.draft
    if draft is None:
        return gpus, cpu, None
    whole = draft.whole_bytes(n_ctx, options)
    for at in reversed(range(len(gpus)) if options.n_gpu_layers != 0 else ()):
        if whole <= gpus[at].usable_bytes:
            host = msgspec.structs.replace(gpus[at], draft_bytes=whole)
            cpu = msgspec.structs.replace(cpu, draft_bytes=draft.input_bytes)
            return [*gpus[:at], host, *gpus[at + 1 :]], cpu, options.main_gpu if options.split_mode == "none" else at
    own_input = 0 if draft.tied else draft.input_bytes
    return gpus, msgspec.structs.replace(cpu, draft_bytes=whole + own_input), None


def _by_share(n: int, split: tuple[float, ...], n_gpus: int) -> list[int] | None:
    """Layers per device by the user's proportions and llama.cpp's rule; None without proportions."""
    total = sum(split[:n_gpus])
    if not total:
        return None
    counts, done = [0] * n_gpus, 0.0
    bounds = [(done := done + part) / total for part in (*split, *[0.0] * n_gpus)[:n_gpus]]
    for layer in range(n):
        counts[next((i for i, bound in enumerate(bounds) if bound > layer / n), n_gpus - 1)] += 1
    return counts


def _filled(sizes: ModelSizes, gpus: list[DeviceMemory], options: LoadOptions, n_ctx: int, n: int) -> list[int]:
    """Layers per device when each is filled before the next; they sum to less than `n` if they do not fit.

    Few devices are better than many: every boundary costs one copy per token.
    """
    counts: list[int] = []
    at = sizes.n_offloadable - n
    for gpu in gpus:
        end = at
        while end < sizes.n_offloadable and _share(sizes, gpu, range(at, end + 1), n_ctx, options).fits:
            end += 1
        counts.append(end - at)
        at = end
    return counts


def _shares(
    sizes: ModelSizes, gpus: list[DeviceMemory], counts: list[int], n_ctx: int, options: LoadOptions
) -> list[Share]:
    shares: list[Share] = []
    at = sizes.n_offloadable - sum(counts)
    for gpu, count in zip(gpus, counts, strict=True):
        shares.append(_share(sizes, gpu, range(at, at + count), n_ctx, options))
        at += count
    return shares


def _share(sizes: ModelSizes, memory: DeviceMemory, layers: range, n_ctx: int, options: LoadOptions) -> Share:
    n_repeating = sum(layer < len(sizes.layer_bytes) for layer in layers)
    weight_bytes = sum(sizes.bytes_at(layer) for layer in layers)
    if memory.kind == "CPU":
        shared = sizes.output_bytes if sizes.tied and n_repeating < len(layers) else 0
        weight_bytes += sizes.input_bytes - shared
    return Share(
        memory,
        len(layers),
        weight_bytes,
        sizes.kv_bytes(n_repeating, n_ctx * options.n_slots, options.kv_type),
        sizes.compute_bytes(n_ctx, options) if layers else 0,
    )


def _max_n_ctx(sizes: ModelSizes, shares: Sequence[Share], n_ctx: int, options: LoadOptions) -> int:
    """Every share grows linearly with the window, so that two points give the size at the limit."""
    most = sizes.n_ctx_train or DEFAULT_N_CTX
    scratch = sizes.compute_bytes(0, options)
    whole, draft_scratch = (sizes.draft.whole_bytes(n, options) if sizes.draft else 0 for n in (n_ctx, 0))
    for share in shares:
        growing = share.kv_bytes + share.compute_bytes - scratch if share.n_layers else 0
        growing += whole - draft_scratch if share.memory.draft_bytes >= whole else 0
        if growing:
            still = share.total_bytes - growing
            most = min(most, int((share.memory.usable_bytes - still) * n_ctx / growing))
    return max(0, most // _CELLS * _CELLS)


def _bearable(plan: LoadPlan) -> bool:
    """Whether only mapped weights exceed the memory: the system can drop these and read them again."""
    *gpus, cpu = plan.shares
    return all(share.fits for share in gpus) and cpu.total_bytes - cpu.weight_bytes <= cpu.memory.usable_bytes // 4


def shortfalls(
    n_gpu_layers: int, n_layers: int, window: tuple[int, int], options: LoadOptions, wanted: int
) -> tuple[str, ...]:
    """Values left open by `options` that memory made smaller, in words; `window` is context window and slots."""
    n_ctx, n_slots = window
    found = (
        (
            n_gpu_layers < n_layers and not isinstance(options.n_gpu_layers, int),
            f"{n_gpu_layers} of {n_layers} layers on the GPU: more do not fit in its memory",
        ),
        (
            n_slots < options.n_slots,
            f"{n_slots} resident conversation in place of {options.n_slots}: more do not fit in memory",
        ),
        (n_ctx < wanted, f"context window {n_ctx} tokens in place of {wanted}: more does not fit in memory"),
    )
    return tuple(words for is_so, words in found if is_so)


def _warning(share: Share) -> str:
    name, free = share.memory.name, units.size(share.memory.usable_bytes)
    if share.memory.kind == "CPU" and share.weight_bytes > share.memory.usable_bytes:
        weights = units.size(share.weight_bytes)
        return f"{weights} of weights for {free} of memory: they will be read from disk again and again"
    return f"{name} may run out of memory: {units.size(share.total_bytes)} for {free} that can be used"
