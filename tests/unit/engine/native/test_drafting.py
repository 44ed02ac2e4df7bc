"""Where a draft model is loaded, over a pretended llama.cpp: as planned, on the CPU where that fails, or not at all."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from app.domain.fit import DeviceMemory, LoadPlan, fit
from app.domain.model import LoadOptions, ModelSizes
from app.engine.native import drafting
from app.engine.native.context import ContextError
from app.engine.native.drafting import DraftModel
from app.engine.native.model import LoadError

GIB = 1 << 30
SMALL = ModelSizes((GIB // 32,) * 16, GIB // 4, GIB // 4, 2048, 8192, 32, 1024, 32000, 32768)
SIZES = ModelSizes((GIB // 8,) * 32, GIB // 4, GIB // 2, 4096, 14336, 32, 2048, 32000, 32768, draft=SMALL)
RAM = DeviceMemory("CPU", "CPU", 64 * GIB)
NO_MEMORY = "failed to allocate buffer of size 1"


class Machine:
    """Refuses contexts on the devices in `full`; records the options of every attempt."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full: set[str] = set()
        self.error = NO_MEMORY
        self.tried: list[LoadOptions] = []
        self.n_open = 0
        machine = self

        class Model:
            name = "Small"

            def __init__(self, path: str, options: LoadOptions, progress: object) -> None:
                machine.tried.append(options)
                machine.n_open += 1

            def close(self) -> None:
                machine.n_open -= 1

        class Context:
            ms_per_token = 1.0

            def __init__(self, model: Model, options: LoadOptions, n_ctx: int) -> None:
                if ("CPU" if options.n_gpu_layers == 0 else "GPU") in machine.full:
                    raise ContextError(machine.error)

        monkeypatch.setattr(drafting, "NativeModel", Model)
        monkeypatch.setattr(drafting, "NativeContext", Context)
        monkeypatch.setattr(drafting, "_mismatch", lambda target, draft: "")
        monkeypatch.setattr(drafting, "DecodeTuner", lambda context: None)

    def placed(self) -> list[tuple[object, str, int]]:
        return [(each.n_gpu_layers, each.split_mode, each.main_gpu) for each in self.tried]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def target(plan: LoadPlan | None) -> Any:
    model = SimpleNamespace(vocab=SimpleNamespace(n_vocab=32000))
    return SimpleNamespace(model=model, context=SimpleNamespace(n_slots=2, n_ctx=8192), notices=[], plan=plan)


def test_it_lies_on_the_gpu_that_the_plan_names(machine: Machine) -> None:
    gpus = [DeviceMemory("CUDA0", "GPU", 24 * GIB), DeviceMemory("CUDA1", "GPU", 24 * GIB)]
    loaded = target(fit(SIZES, [*gpus, RAM], LoadOptions()))
    DraftModel("/small.gguf", loaded, LoadOptions(tensor_split=(3, 1)))
    assert machine.placed() == [(-1, "none", 1)]
    assert machine.tried[0].tensor_split == ()
    assert loaded.notices == []


def test_it_lies_on_the_cpu_where_no_gpu_has_room(machine: Machine) -> None:
    loaded = target(fit(SIZES, [DeviceMemory("CUDA0", "GPU", GIB), RAM], LoadOptions()))
    DraftModel("/small.gguf", loaded, LoadOptions())
    assert machine.placed() == [(0, "layer", 0)]


def test_it_backs_off_to_the_cpu_and_says_so(machine: Machine) -> None:
    machine.full = {"GPU"}
    loaded = target(fit(SIZES, [DeviceMemory("CUDA0", "GPU", 24 * GIB), RAM], LoadOptions()))
    DraftModel("/small.gguf", loaded, LoadOptions())
    assert machine.placed() == [(-1, "none", 0), (0, "none", 0)]
    assert machine.n_open == 1
    assert loaded.notices == [
        "the draft model did not fit on the GPU and runs on the CPU: the draft model small.gguf cannot be loaded "
        f"beside the model: cannot make a context of 8192 tokens: {NO_MEMORY}"
    ]


def test_no_room_anywhere_is_an_error_that_names_it(machine: Machine) -> None:
    machine.full = {"GPU", "CPU"}
    loaded = target(fit(SIZES, [DeviceMemory("CUDA0", "GPU", 24 * GIB), RAM], LoadOptions()))
    with pytest.raises(
        LoadError, match=r"the draft model small\.gguf cannot be loaded beside the model: cannot make a context"
    ):
        DraftModel("/small.gguf", loaded, LoadOptions())
    assert machine.n_open == 0


def test_an_error_of_another_kind_is_not_tried_again(machine: Machine) -> None:
    machine.full, machine.error = {"GPU"}, "unknown model architecture"
    loaded = target(fit(SIZES, [DeviceMemory("CUDA0", "GPU", 24 * GIB), RAM], LoadOptions()))
    with pytest.raises(LoadError, match="architecture"):
        DraftModel("/small.gguf", loaded, LoadOptions())
    assert len(machine.tried) == 1


@pytest.mark.parametrize(("has_gpu", "n_gpu_layers", "expected"), [(True, None, -1), (True, 0, 0), (False, None, 0)])
def test_without_a_plan_it_goes_where_the_target_goes(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, has_gpu: bool, n_gpu_layers: int | None, expected: int
) -> None:
    monkeypatch.setattr(drafting, "has_gpu", lambda: has_gpu)
    DraftModel("/small.gguf", target(None), LoadOptions(n_gpu_layers=n_gpu_layers))
    assert machine.tried[0].n_gpu_layers == expected
