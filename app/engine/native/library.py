"""llama.cpp itself: the ctypes bindings of llama.h, the log, the build, and symbols that the bindings leave out.

Only the bindings' own module is imported: the package's `__init__` imports the high-level class, which nothing here
uses and which takes four fifths of the time. `C` is `Any`, because the bindings' type hints name arrays where pointers
are passed and returned.

The log callback is set before the backend starts. It keeps the last lines and never raises: any thread may call it.
"""

from __future__ import annotations

import collections
import ctypes
import sys
from importlib.metadata import version
from importlib.util import find_spec
from types import ModuleType
from typing import Any, TypeAlias

_PACKAGE = "llama_cpp"


def _leave_init_out() -> None:
    """Registers an empty package under this name, so that its submodules can be imported without its `__init__`."""
    spec = find_spec(_PACKAGE) if _PACKAGE not in sys.modules else None
    if spec is not None and spec.submodule_search_locations is not None:
        package = ModuleType(_PACKAGE)
        package.__spec__, package.__path__ = spec, spec.submodule_search_locations
        sys.modules[_PACKAGE] = package


_leave_init_out()

from llama_cpp import llama_cpp  # noqa: E402 - after the package was prepared

Native: TypeAlias = Any
"""A pointer, structure or function of llama.cpp."""

C: Native = llama_cpp
VERSION = version("llama-cpp-python")

_LOG_ERROR, _LOG_CONT = 4, 5
_N_ERRORS = 3
_lines: collections.deque[tuple[int, str]] = collections.deque(maxlen=6000)


@C.llama_log_callback
def _on_log(level: int, text: bytes, _data: Native) -> None:
    try:
        line = text.decode("utf-8", "replace")
        if level == _LOG_CONT and _lines:
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
    """Drops the log so far: `log_lines` then returns what follows."""
    _lines.clear()


def log_lines(level: int = 0) -> list[str]:
    """The log lines since the last `log_mark` with at least `level` (3 warning, 4 error)."""
    return [text.rstrip("\n") for at, text in list(_lines) if at >= level]


def last_errors() -> str:
    """The last error lines since the last `log_mark` as one line, for an error message; empty if there are none."""
    return " / ".join(line.strip() for line in log_lines(_LOG_ERROR)[-_N_ERRORS:])


def build() -> str:
    """The build as one line: the version of the bindings, and the features that llama.cpp was compiled with."""
    info = C.llama_print_system_info().decode("utf-8", "replace").strip(" |")
    return f"llama-cpp-python {VERSION} | {info}"


def symbol(name: str, result: Native, *arguments: Native) -> Native:
    """A C function of llama.cpp or ggml with these ctypes: one that the bindings lack or type differently."""
    # Through libllama, a ggml symbol resolves to the copy that libllama itself uses.
    address = ctypes.cast(getattr(C._lib, name), ctypes.c_void_p).value
    assert address is not None
    return ctypes.CFUNCTYPE(result, *arguments)(address)
