"""What this machine offers a CPU backend: physical cores and memory, with the limits of its cgroup."""

from __future__ import annotations

import os
from pathlib import Path


def physical_cores() -> int:
    """Physical cores that this process may use; logical ones where that cannot be told."""
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
    """Memory that can be had without swapping: MemAvailable, capped by the cgroup. None where it cannot be told."""
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
