"""The ctypes bindings of llama.h as the rest of this package sees them: without their type hints.

The hints name arrays where pointers are passed and returned, so that a checker refuses correct calls.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from llama_cpp import llama_cpp

Native: TypeAlias = Any
"""A pointer, structure or function of llama.cpp."""

C: Native = llama_cpp
