"""What this machine offers: physical cores and free memory, with the limits of its cgroup, and llama.cpp's devices."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from app.engine.native.library import C, symbol
from app.protocol.events import Device

_KINDS = ("CPU", "GPU", "IGPU", "ACCEL", "META")


def physical_cores() -> int:
    """Physical cores that this process may use, at least 1; logical cores if the topology is unknown."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    cores: set[tuple[str, str]] = set()
    for cpu in allowed:
        topology = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology")
        try:
            cores.add(((topology / "physical_package_id").read_text(), (topology / "core_id").read_text()))
        except OSError:
            return max(1, min(len(allowed), _cgroup_cpus()))
    return max(1, min(len(cores), _cgroup_cpus()))


def _cgroup_cpus() -> int:
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()[:2]
        return 1 << 16 if quota == "max" else max(1, round(int(quota) / int(period)))
    except (OSError, ValueError):
        return 1 << 16


def available_bytes() -> int | None:
    """Bytes of memory available without swapping: MemAvailable, capped by the cgroup. None if unknown."""
    found = [value for value in (_meminfo(), _cgroup_memory()) if value is not None]
    return min(found) if found else None


def _meminfo() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        return None
    return None


def _cgroup_memory() -> int | None:
    root = Path("/sys/fs/cgroup")
    try:
        limit = (root / "memory.max").read_text().strip()
        return None if limit == "max" else max(0, int(limit) - int((root / "memory.current").read_text()))
    except (OSError, ValueError):
        return None


class _Caps(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_bool) for name in ("async_", "host_buffer", "buffer_from_host_ptr", "events", "mmap_support")
    )


class _Props(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("description", ctypes.c_char_p),
        ("memory_free", ctypes.c_size_t),
        ("memory_total", ctypes.c_size_t),
        ("type", ctypes.c_int),
        ("device_id", ctypes.c_char_p),
        ("caps", _Caps),
    )


def _kind(number: int) -> str:
    return _KINDS[number] if 0 <= number < len(_KINDS) else "?"


def list_devices() -> tuple[Device, ...]:
    """The devices that llama.cpp can compute on, CPU included, with the memory that is free now.

    For the CPU this is `available_bytes`: llama.cpp itself reports all memory of the machine as free.
    """
    count = symbol("ggml_backend_dev_count", ctypes.c_size_t)
    get = symbol("ggml_backend_dev_get", ctypes.c_void_p, ctypes.c_size_t)
    get_props = symbol("ggml_backend_dev_get_props", None, ctypes.c_void_p, ctypes.POINTER(_Props))
    found: list[Device] = []
    for i in range(count()):
        props = _Props()
        get_props(get(i), ctypes.byref(props))
        kind = _kind(props.type)
        free = available_bytes() if kind == "CPU" else None
        found.append(
            Device(
                (props.name or b"").decode("utf-8", "replace"),
                (props.description or b"").decode("utf-8", "replace").strip(),
                kind,
                props.memory_free if free is None else free,
                props.memory_total,
            )
        )
    return tuple(found)


def has_gpu() -> bool:
    """True if a GPU, integrated or not, can take layers."""
    return bool(C.llama_supports_gpu_offload()) and any(device.kind in ("GPU", "IGPU") for device in list_devices())
