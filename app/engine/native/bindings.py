"""The ctypes bindings of llama.h as the rest of this package sees them: alone, and without their type hints.

The package's `__init__` imports the high-level class, four fifths of its import time, which nothing here uses. The
hints name arrays where pointers are passed and returned, so that a checker refuses correct calls.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from importlib.util import find_spec
from types import ModuleType
from typing import Any, TypeAlias

_PACKAGE = "llama_cpp"


def _leave_init_out() -> None:
    """Puts an empty package where the import system looks first, so that its submodules are found alone."""
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
