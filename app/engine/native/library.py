"""The library itself: its log, its build, its devices and the ggml symbols that the bindings leave out.

The log callback is set before the backend starts, keeps the last lines and never raises: it is called from any thread.
"""

from __future__ import annotations

import collections
import ctypes

from app.engine.native.bindings import VERSION, C, Native
from app.engine.native.machine import available_bytes
from app.protocol.events import Device

LOG_ERROR, LOG_CONT = 4, 5
_KINDS = ("CPU", "GPU", "IGPU", "ACCEL", "META")
_lines: collections.deque[tuple[int, str]] = collections.deque(maxlen=6000)


@C.llama_log_callback
def _on_log(level: int, text: bytes, _data: Native) -> None:
    try:
        line = text.decode("utf-8", "replace")
        if level == LOG_CONT and _lines:
            last = _lines[-1]
            _lines[-1] = (last[0], last[1] + line)
        else:
            _lines.append((level, line))
    except Exception:  # an exception cannot cross the C frame that called us
        return


def start() -> None:
    """Takes over the log and starts the backends. Call once, before anything else of this package."""
    C.llama_log_set(_on_log, ctypes.c_void_p(0))
    C.llama_backend_init()


def log_mark() -> None:
    """Forgets the log so far, so that `log_lines` tells of what comes next."""
    _lines.clear()


def log_lines(level: int = 0) -> list[str]:
    """The log since the last mark, lines of at least `level` (3 warning, 4 error)."""
    return [text.rstrip("\n") for at, text in list(_lines) if at >= level]


def last_errors(n: int = 3) -> str:
    """The last error lines in one string, for an error message; empty when there are none."""
    return " / ".join(line.strip() for line in log_lines(LOG_ERROR)[-n:])


def build() -> str:
    """The build as one line: version of the bindings and what llama.cpp was compiled with."""
    info = C.llama_print_system_info().decode("utf-8", "replace").strip(" |")
    return f"llama-cpp-python {VERSION} | {info}"


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


def symbol(name: str, result: Native, *arguments: Native) -> Native:
    """A function of llama.cpp or ggml with other types than the bindings give it, or that they leave out."""
    # Looking a ggml symbol up through libllama finds the copy that libllama itself uses.
    address = ctypes.cast(getattr(C._lib, name), ctypes.c_void_p).value
    assert address is not None
    return ctypes.CFUNCTYPE(result, *arguments)(address)


def _kind(number: int) -> str:
    return _KINDS[number] if 0 <= number < len(_KINDS) else "?"


def devices() -> tuple[Device, ...]:
    """The compute devices that llama.cpp can use, CPU included, with the memory that is free now.

    llama.cpp takes all memory of the machine for free to the CPU; what this process can have stands here instead.
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
    """True where a GPU, integrated or not, can take layers."""
    return bool(C.llama_supports_gpu_offload()) and any(device.kind in ("GPU", "IGPU") for device in devices())
