"""The preset picker: each preset with the parameters that it sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from app.domain.sampling import Preset, SamplingParams
from app.domain.text import one_line
from app.tui.screens.default_picker import DefaultPicker
from app.tui.screens.picker import Row, matches


def describe(preset: Preset) -> str:
    """Returns what a preset is for, its usual parameters, the others that it sets, and its system prompt."""
    sampling = preset.sampling
    usual = ("temperature", "top_k", "top_p", "min_p", "repeat_penalty")
    first = "   ".join(f"{name} {getattr(sampling, name):g}" for name in usual)
    default = SamplingParams()
    others = [
        f"{name} {getattr(sampling, name)}"
        for name in SamplingParams.__struct_fields__
        if name not in usual and getattr(sampling, name) != getattr(default, name)
    ]
    system = f"system: {one_line(preset.system, 300)}" if preset.system else "no system prompt"
    rest = one_line("   ".join(others), 120) or "everything else at its default"
    return "\n".join([one_line(preset.description, 120), first, rest, system])


class PresetPicker(DefaultPicker):
    """Result: the name of a preset."""

    TITLE_TEXT: ClassVar[str] = "Presets"
    SETTING: ClassVar[str] = "preset"
    N_DETAIL_LINES: ClassVar[int] = 5

    @staticmethod
    def _tail(preset: Preset) -> str:
        temperature = preset.sampling.temperature
        return f"temperature {temperature:g}" if temperature else "greedy"

    def __init__(self, presets: Mapping[str, Preset], current: str, defaults: dict[str, str]) -> None:
        super().__init__(defaults)
        self._presets = presets
        self._current = current

    async def find(self, query: str) -> Sequence[Row]:
        """Returns the presets whose name or description has the words of `query`."""
        return [
            Row(name, name, self.marked(name, self._tail(preset)), describe(preset), current=name == self._current)
            for name, preset in self._presets.items()
            if matches(query, name, preset.description)
        ]
