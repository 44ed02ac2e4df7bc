"""The ctypes bindings of llama.h as the rest of this package sees them: alone, and without their type hints.

The package's `__init__` imports the high-level class, four fifths of its import time, which nothing here uses. The
hints name arrays where pointers are passed and returned, so that a checker refuses correct calls.
"""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import version
from importlib.util import find_spec
from types import ModuleType
from typing import Any, TypeAlias

Native: TypeAlias = Any
"""A pointer, structure or function of llama.cpp."""

_PACKAGE = "llama_cpp"


def _low_level() -> Native:
    if _PACKAGE not in sys.modules:
        spec = find_spec(_PACKAGE)
        if spec is None or spec.submodule_search_locations is None:
            raise ModuleNotFoundError("llama-cpp-python is not installed", name=_PACKAGE)
        package = ModuleType(_PACKAGE)
        package.__spec__, package.__path__ = spec, spec.submodule_search_locations
        sys.modules[_PACKAGE] = package
    return importlib.import_module(f"{_PACKAGE}.{_PACKAGE}")


C: Native = _low_level()
VERSION = version("llama-cpp-python")


def json_schema_to_gbnf(schema: str) -> str:
    """The bindings' own converter; imported when it is needed. Raises what it raises for a schema it cannot turn."""
    return importlib.import_module(f"{_PACKAGE}.llama_grammar").json_schema_to_gbnf(schema)
