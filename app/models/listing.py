"""Lists the models of the catalogue and of the models folder, with figures from their headers."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct, structs

from app.config.catalogue import Catalogue
from app.domain.errors import ModelError
from app.domain.model import LoraAdapter
from app.domain.text import one_line
from app.models.gguf import check_adapter, read_header
from app.models.locate import files_in_folder, find_source


class ModelRow(Struct, frozen=True, kw_only=True):
    """One line of `tok models`. The figures are 0 or empty if the file is missing or unreadable."""

    name: str
    title: str
    path: Path | None = None
    where: str = ""
    """Its path, or its source in the catalogue."""
    size_bytes: int = 0
    quant: str = ""
    n_ctx_train: int = 0
    n_params: int = 0
    installed: bool = False
    """Whether the file exists; see `problem` for whether it is usable."""
    install: str = ""
    """How to get the file."""
    license: str = ""
    problem: str = ""
    """Why the file cannot be used; empty if it can."""
    adapters: tuple[AdapterRow, ...] = ()


class AdapterRow(Struct, frozen=True, kw_only=True):
    """A LoRA adapter of a model."""

    name: str
    path: str
    scale: float
    size_bytes: int = 0
    problem: str = ""
    """Why it cannot be used; empty if it can, or if the model's file is unreadable."""


def list_models(catalogue: Catalogue, models_dir: str | Path | None) -> list[ModelRow]:
    """Returns the catalogue's models, then the files of `models_dir`; unusable files have a `problem`."""
    rows = [
        _row(
            ModelRow(
                name=spec.name,
                title=one_line(spec.title or spec.name),
                where=spec.source,
                installed=spec.options.remote is not None,
                install=one_line(spec.install, 400),
                license=one_line(spec.license),
            ),
            None if spec.options.remote else find_source(spec),
            spec.options.lora,
        )
        for spec in catalogue.models.values()
    ]
    known = {row.path for row in rows}
    for name, path in files_in_folder(models_dir).items():
        if path not in known and name not in catalogue.models:
            rows.append(_row(ModelRow(name=name, title=one_line(name)), path))
    return rows


def _row(row: ModelRow, path: Path | None, adapters: tuple[LoraAdapter, ...] = ()) -> ModelRow:
    if path is None:
        return row
    try:
        header = read_header(path)
    except ModelError as error:
        return structs.replace(row, path=path, where=str(path), installed=True, problem=str(error))
    return structs.replace(
        row,
        path=path,
        where=str(path),
        installed=True,
        adapters=tuple(_adapter(adapter, header.architecture) for adapter in adapters),
        size_bytes=header.size_bytes,
        quant=header.quant,
        n_ctx_train=header.n_ctx_train,
        n_params=header.n_params,
    )


def _adapter(adapter: LoraAdapter, architecture: str) -> AdapterRow:
    row = AdapterRow(name=one_line(adapter.name), path=adapter.path, scale=adapter.scale)
    try:
        return structs.replace(row, size_bytes=check_adapter(adapter, architecture))
    except ModelError as error:
        return structs.replace(row, problem=str(error))
