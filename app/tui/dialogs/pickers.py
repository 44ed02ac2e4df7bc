"""The pickers of models, presets, themes and commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from textual.theme import Theme

from app.domain import units
from app.domain.sampling import Preset, SamplingParams
from app.domain.text import one_line
from app.models.listing import ModelRow
from app.tui.common.keymap import Keymap
from app.tui.dialogs.picker import DefaultPicker, Picker, PickerRow, matches


class ModelPicker(DefaultPicker):
    """Result: the name of an installed model."""

    TITLE_TEXT: ClassVar[str] = "Models"
    SETTING: ClassVar[str] = "model"
    NOTHING: ClassVar[str] = "No model found. Set models_dir in config.toml to a folder of GGUF files."
    N_DETAIL_LINES: ClassVar[int] = 2

    def __init__(self, models: Sequence[ModelRow], current: str, defaults: dict[str, str]) -> None:
        """`current` is the name of the model that is loaded, empty when none is."""
        super().__init__(defaults)
        self._models = {model.name: model for model in models}
        self._current = current

    async def find(self, query: str) -> Sequence[PickerRow]:
        """Returns the models whose name or title has the words of `query`."""
        return [
            self._row(model)
            for model in self._models.values()
            if matches(query, model.name, model.title, model.quant or "")
        ]

    def _row(self, model: ModelRow) -> PickerRow:
        if model.problem:
            tail, detail = "unusable", one_line(model.problem, 200)
        elif model.installed:
            facts = [model.quant, units.size(model.size_bytes) if model.size_bytes else ""]
            tail = " · ".join(fact for fact in facts if fact)
            context = f"trained for {model.n_ctx_train} tokens   " if model.n_ctx_train else ""
            detail = f"{context}{one_line(model.where, 120)}"
        else:
            tail, detail = "not installed", one_line(model.install, 200) or "not installed"
        title = model.title or model.name
        tail = self.marked(model.name, tail)
        return PickerRow(
            model.name, title, tail, detail, current=model.name == self._current, muted=not self._usable(model)
        )

    def choose(self, row: PickerRow) -> None:
        """Ends with an installed model; for another one the detail line says how to get it."""
        if self._usable(self._models[row.id]):
            super().choose(row)
        else:
            self.notify(row.detail, severity="warning", markup=False)

    def may_be_default(self, row: PickerRow) -> bool:
        """Whether its file is there and good; says what is wrong otherwise."""
        usable = self._usable(self._models[row.id])
        if not usable:
            self.notify(row.detail, severity="warning", markup=False)
        return usable

    @staticmethod
    def _usable(model: ModelRow) -> bool:
        return model.installed and not model.problem


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
    rest = one_line("   ".join(others), 120) or "other parameters at their defaults"
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

    async def find(self, query: str) -> Sequence[PickerRow]:
        """Returns the presets whose name or description has the words of `query`."""
        return [
            PickerRow(
                name, name, self.marked(name, self._tail(preset)), describe(preset), current=name == self._current
            )
            for name, preset in self._presets.items()
            if matches(query, name, preset.description)
        ]


class ThemePicker(Picker):
    """Result: the name of a theme; on None the app must go back to the one it wore."""

    TITLE_TEXT: ClassVar[str] = "Themes"
    HINTS: ClassVar[str] = "Enter apply   Esc cancel"

    def __init__(self, themes: Mapping[str, Theme], current: str, preview: Callable[[str], None]) -> None:
        super().__init__()
        self._themes = themes
        self._current = current
        self._preview = preview

    async def find(self, query: str) -> Sequence[PickerRow]:
        """Returns the themes whose name or kind has the words of `query`."""
        kinds = {name: self._kind(theme) for name, theme in self._themes.items()}
        return [
            PickerRow(name, name, kinds[name], current=name == self._current)
            for name in self._themes
            if matches(query, name, kinds[name])
        ]

    def row_highlighted(self, row: PickerRow) -> None:
        """Wears the theme under the cursor."""
        self._preview(row.id)

    @staticmethod
    def _kind(theme: Theme) -> str:
        return "your terminal's colours" if theme.ansi else "dark" if theme.dark else "light"


class Palette(Picker):
    """Result: the id of the command to run."""

    TITLE_TEXT: ClassVar[str] = "Commands"
    HINTS: ClassVar[str] = "Enter run   Esc close"

    def __init__(self, keymap: Keymap) -> None:
        super().__init__()
        self._keymap = keymap

    async def find(self, query: str) -> Sequence[PickerRow]:
        """Returns the commands whose title, help or id has the words of `query`, nearest titles first."""
        found = [
            command
            for command in self._keymap.commands
            if command.id != "palette" and matches(query, command.title, command.help, command.id)
        ]
        found.sort(key=lambda command: _distance(query.casefold(), command.title.casefold()))
        return [PickerRow(each.id, each.title, self._keymap.label(each.id), each.help) for each in found]


def _distance(query: str, title: str) -> int:
    return 0 if title.startswith(query) else 1 if query in title else 2
