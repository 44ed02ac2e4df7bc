"""Loading over a pretended llama.cpp: the attempts after memory ran out, and the notices about them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from app.domain.fit import DeviceMemory
from app.domain.model import LoadOptions, ModelSizes
from app.engine.native import loader
from app.engine.native.context import ContextError
from app.engine.native.loader import Attempt
from app.engine.native.model import LoadCancelled, LoadError

GIB = 1 << 30
SIZES = ModelSizes((GIB // 8,) * 32, GIB // 4, GIB // 2, 4096, 14336, 32, 2048, 32000, 32768)
NO_MEMORY = "failed to allocate buffer of size 1"


class Machine:
    """Refuses weights beyond `gpu_layers` and contexts of more than `cells`; records what was asked of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, memories: list[DeviceMemory]) -> None:
        self.gpu_layers, self.cells = 33, 1 << 30
        self.error = NO_MEMORY
        self.models: list[int] = []
        self.contexts: list[tuple[int, int]] = []
        self.n_open = 0
        machine = self

        class Model:
            n_ctx_train = 32768
            can_decode = True
            adapters = SimpleNamespace(notices=[])

            def __init__(self, path, options, progress) -> None:
                machine.models.append(options.n_gpu_layers)
                self.n_gpu_layers = options.n_gpu_layers
                if not progress(0.5):
                    raise LoadCancelled("load cancelled")
                if options.n_gpu_layers > machine.gpu_layers:
                    raise LoadError(machine.error)
                machine.n_open += 1

            def sizes(self) -> ModelSizes:
                return ModelSizes((0,) * 32, 0, 0, 4096, 14336, 32, 2048, 32000, 32768)

            def close(self) -> None:
                machine.n_open -= 1

        class Context:
            def __init__(self, model, options, n_ctx: int) -> None:
                machine.contexts.append((n_ctx, options.n_slots))
                if n_ctx * options.n_slots > machine.cells:
                    raise ContextError(machine.error)
                self.n_ctx, self.n_slots = n_ctx, options.n_slots

            def close(self) -> None: ...

        monkeypatch.setattr(loader, "NativeModel", Model)
        monkeypatch.setattr(loader, "NativeContext", Context)
        for probe in ("_warm_up", "_can_cut"):
            monkeypatch.setattr(loader, probe, lambda context: True)
        monkeypatch.setattr(loader, "_memories", lambda: memories)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch, [DeviceMemory("CUDA0", "GPU", 24 * GIB), DeviceMemory("CPU", "CPU", 64 * GIB)])


def load(options: LoadOptions, sizes: ModelSizes | None = SIZES, progress=lambda fraction: True) -> loader.LoadedModel:
    return loader.load("/m.gguf", options, progress, sizes)


def test_what_fits_is_loaded_at_once(machine: Machine) -> None:
    loaded = load(LoadOptions())
    assert (machine.models, machine.contexts) == ([33], [(8192, 2)])
    assert loaded.notices == []


def test_fewer_layers_after_the_weights_did_not_fit(machine: Machine) -> None:
    machine.gpu_layers = 20
    loaded = load(LoadOptions())
    assert machine.models == [33, 24, 18]
    assert machine.contexts == [(8192, 2)]
    assert loaded.notices == [
        "18 of 33 layers on the GPU: more do not fit in its memory",
        f"loaded on attempt 3; the first failed: {NO_MEMORY}",
    ]
    assert machine.n_open == 1


def test_slots_then_layers_then_the_window_after_the_context_did_not_fit(machine: Machine) -> None:
    machine.cells = 4096
    loaded = load(LoadOptions())
    assert machine.models == [33, 24, 18, 13, 9, 6, 4, 3, 2, 1, 0]
    assert machine.contexts[:2] == [(8192, 2), (8192, 1)]
    assert machine.contexts[-2:] == [(8192, 1), (4096, 1)]
    assert "context window 4096 tokens in place of 8192: more does not fit in memory" in loaded.notices
    assert machine.n_open == 1


def test_a_fixed_window_and_fixed_layers_are_not_touched(machine: Machine) -> None:
    machine.cells = 4096
    with pytest.raises(LoadError, match="cannot make a context of 8192 tokens"):
        load(LoadOptions(n_ctx=8192, n_gpu_layers=10))
    assert machine.models == [10]
    assert machine.contexts == [(8192, 2), (8192, 1)]
    assert machine.n_open == 0


def test_fixed_layers_that_do_not_fit_are_an_error(machine: Machine) -> None:
    machine.gpu_layers = 9
    with pytest.raises(LoadError):
        load(LoadOptions(n_gpu_layers=10))
    assert machine.models == [10]


def test_an_error_of_another_kind_is_not_tried_again(machine: Machine) -> None:
    machine.gpu_layers, machine.error = 0, "unknown model architecture"
    with pytest.raises(LoadError, match="architecture"):
        load(LoadOptions())
    assert machine.models == [33]


def test_a_cancelled_load_ends(machine: Machine) -> None:
    with pytest.raises(LoadCancelled):
        load(LoadOptions(), progress=lambda fraction: False)
    assert machine.models == [33]


def test_without_a_header_the_context_is_fitted_after_the_load(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, [DeviceMemory("CPU", "CPU", 2 * GIB)])
    monkeypatch.setattr(loader, "has_gpu", lambda: False)
    loaded = load(LoadOptions(), sizes=None)
    assert (machine.models, machine.contexts) == ([0], [(4096, 1)])
    assert len(loaded.notices) == 2


def test_the_plans_warnings_are_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    Machine(monkeypatch, [DeviceMemory("CPU", "CPU", 4 * GIB)])
    assert any("read from disk" in notice for notice in load(LoadOptions()).notices)


def test_attempts_end() -> None:
    """Every way down is finite, whatever fails."""
    attempt: Attempt | None = Attempt(-1, 33, 8192, 16)
    n = 0
    while attempt:
        attempt = attempt.after_context(NO_MEMORY, LoadOptions())
        n += 1
    assert n < 30


def test_a_cache_that_cannot_be_cut_is_reported(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "_can_cut", lambda context: False)
    assert any("cannot be cut" in notice for notice in load(LoadOptions()).notices)
