"""The model picker: what is installed, and how to get what is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from app.domain.text import one_line
from app.models.listing import ModelRow
from app.tui.screens.default_picker import DefaultPicker
from app.tui.screens.picker import Row, matches


def size_text(size_bytes: int) -> str:
    """Returns a size for reading: `94 MiB`, `4.1 GiB`."""
    mib = size_bytes / 2**20
    return f"{mib:.0f} MiB" if mib < 1000 else f"{mib / 1024:.1f} GiB"


class ModelPicker(DefaultPicker):
    """Result: the name of an installed model."""

    TITLE_TEXT: ClassVar[str] = "Models"
    SETTING: ClassVar[str] = "model"
    NOTHING: ClassVar[str] = "No model found. A folder of GGUF files: models_dir in config.toml."
    N_DETAIL_LINES: ClassVar[int] = 2

    def __init__(self, models: Sequence[ModelRow], current: str, defaults: dict[str, str]) -> None:
        """`current` is the name of the model that is loaded, empty when none is."""
        super().__init__(defaults)
        self._models = {model.name: model for model in models}
        self._current = current

    async def find(self, query: str) -> Sequence[Row]:
        """Returns the models whose name or title has the words of `query`."""
        return [
            self._row(model)
            for model in self._models.values()
            if matches(query, model.name, model.title, model.quant or "")
        ]

    def _row(self, model: ModelRow) -> Row:
        if model.problem:
            tail, detail = "unusable", one_line(model.problem, 200)
        elif model.installed:
            facts = [model.quant, size_text(model.size_bytes) if model.size_bytes else ""]
            tail = " · ".join(fact for fact in facts if fact)
            context = f"trained for {model.n_ctx_train} tokens   " if model.n_ctx_train else ""
            detail = f"{context}{one_line(str(model.path), 120)}"
        else:
            tail, detail = "not installed", one_line(model.install, 200) or "not installed"
        title = model.title or model.name
        tail = self.marked(model.name, tail)
        return Row(model.name, title, tail, detail, current=model.name == self._current, muted=not self._usable(model))

    def choose(self, row: Row) -> None:
        """Ends with an installed model; of another one the detail line tells how to get it."""
        if self._usable(self._models[row.id]):
            super().choose(row)
        else:
            self.notify(row.detail, severity="warning", markup=False)

    def may_be_default(self, row: Row) -> bool:
        """Whether its file is there and good; says what is wrong otherwise."""
        usable = self._usable(self._models[row.id])
        if not usable:
            self.notify(row.detail, severity="warning", markup=False)
        return usable

    @staticmethod
    def _usable(model: ModelRow) -> bool:
        return model.installed and not model.problem
