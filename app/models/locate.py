"""Finds the file of a model by its name in the catalogue or the models folder, or by its path."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import msgspec
from msgspec import Struct

from app.config.catalogue import PACKAGE_SOURCE, Catalogue
from app.config.problems import nearest
from app.domain.errors import ModelError
from app.domain.model import LoadOptions, ModelSizes, ModelSpec
from app.domain.text import one_line
from app.models.gguf import check_adapter, model_sizes, read_header
from app.models.shards import is_later_part, model_name

_PATTERNS = ("*.gguf", "*/*.gguf", "*/*/*.gguf")


def files_in_folder(folder: str | Path | None) -> dict[str, Path]:
    """Returns absolute paths by model name, sorted; of two files with one name, the one nearest the top wins.

    Of a split model, only the first part counts. Projectors (`mmproj*`) are skipped. A missing or unreadable folder
    has no files.
    """
    if not folder:
        return {}
    root = Path(os.path.abspath(os.path.expanduser(folder)))
    files: dict[str, Path] = {}
    for pattern in _PATTERNS:
        try:
            found = sorted(root.glob(pattern))
        except OSError:
            continue
        for path in found:
            if not is_later_part(path) and not path.name.startswith("mmproj"):
                files.setdefault(model_name(path), path)
    return files


class LocatedModel(Struct, frozen=True, kw_only=True):
    """A model whose file exists and looks complete, or that a server runs, with its load options."""

    name: str
    """As for `-m`: the catalogue's name, the file's name without extension, or the path as given."""
    reference: str = ""
    """`name`, but paths absolute, so that it is valid in any folder."""
    title: str
    path: Path
    """Absolute; the `source` of a model that a server runs (`options.remote`)."""
    options: LoadOptions
    sizes: ModelSizes | None = None
    """Memory sizes of the model and its draft model, from which the engine fits both."""


def locate(
    wanted: str | None, catalogue: Catalogue, models_dir: str | Path | None, draft: str | None = None
) -> LocatedModel:
    """Finds the model that the user means.

    Args:
        wanted: a catalogue name, the name of a file in `models_dir` (the extension is optional) or a path; None is
            the catalogue's default if it is installed, else the first installed model.
        catalogue: the known models.
        models_dir: the user's folder of GGUF files, if any.
        draft: a draft model, named as `wanted`, in place of the catalogue's.

    Raises:
        ModelError: the model is unknown, not installed or unusable; the hint says what to do.
    """
    located = _find(wanted, catalogue, models_dir)
    if located.options.remote:
        if draft:
            raise ModelError(f"a server runs {one_line(located.name)}: no draft model can be loaded beside it")
        return located
    drafter = draft or located.options.draft
    draft_sizes: ModelSizes | None = None
    if drafter:
        path = _find(drafter, catalogue, models_dir).path
        draft_sizes = model_sizes(read_header(path))
        located = msgspec.structs.replace(located, options=msgspec.structs.replace(located.options, draft=str(path)))
    header = read_header(located.path)
    adapter_bytes = sum(check_adapter(adapter, header.architecture) for adapter in located.options.lora)
    sizes = msgspec.structs.replace(model_sizes(header, adapter_bytes), draft=draft_sizes)
    return msgspec.structs.replace(located, sizes=sizes)


def find_source(spec: ModelSpec) -> Path | None:
    """Returns the file of a catalogue entry, or None if it does not exist; the source of one that a server runs."""
    if spec.options.remote:
        return Path(spec.source)
    if not spec.source.startswith(PACKAGE_SOURCE):
        path = Path(spec.source)
        return path if _is_file(path) else None
    package, _, name = spec.source.removeprefix(PACKAGE_SOURCE).partition("/")
    if not package.isidentifier() or ".." in Path(name).parts:
        return None
    try:
        found = find_spec(package)
    except (ImportError, ValueError):
        return None
    for folder in (found.submodule_search_locations if found else None) or ():
        if name and _is_file(Path(folder, name)):
            return Path(folder, name)
    return None


def _find(wanted: str | None, catalogue: Catalogue, models_dir: str | Path | None) -> LocatedModel:
    files = files_in_folder(models_dir)
    if wanted is None:
        return _first(catalogue, files)
    if spec := catalogue.models.get(wanted):
        return _from_catalogue(spec)
    is_file_name = wanted.endswith(".gguf") and os.sep not in wanted
    if path := files.get(model_name(Path(wanted)) if is_file_name else wanted):
        return _from_file(path, model_name(path))
    path = Path(os.path.abspath(os.path.expanduser(wanted)))
    if _is_file(path):
        return _from_file(path, wanted, str(path))
    shown = one_line(wanted, 400)
    if os.sep in wanted and os.path.isdir(path):
        raise ModelError(
            f"{shown} is a folder", "Name a .gguf file in it, or set `models_dir` in the config file to it."
        )
    if _is_there(path):
        missing = "" if path.exists() else ": it is a link to a missing file"
        raise ModelError(f"{shown} is not a regular file{missing}", "Name a .gguf file.")
    if os.sep in wanted or wanted.endswith(".gguf"):
        raise ModelError(f"there is no file {shown}", "`tok models` lists the models that are there.")
    close = nearest(wanted, [*catalogue.models, *files])
    hint = f"Did you mean `{one_line(close)}`? " if close else ""
    raise ModelError(f"there is no model `{shown}`", f"{hint}`tok models` lists them; a path of a GGUF file works too.")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _is_there(path: Path) -> bool:
    """Whether the path exists, or is a broken link, and is not a folder."""
    try:
        return os.path.lexists(path) and not path.is_dir()
    except (OSError, ValueError):
        return False


def _first(catalogue: Catalogue, files: dict[str, Path]) -> LocatedModel:
    default = catalogue.models.get(catalogue.default)
    files_only = [spec for spec in catalogue.models.values() if not spec.options.remote]
    for spec in ([default] if default else []) + files_only:
        if find_source(spec):
            return _from_catalogue(spec)
    for name, path in files.items():
        return _from_file(path, name)
    install = f"{default.title or default.name}: {default.install}. " if default and default.install else ""
    raise ModelError(
        "no model is installed",
        f"{install}Or name a GGUF file that you have: tok -m path/to/model.gguf, "
        "or set `models_dir` in the config file to a folder of them (`tok config edit`).",
    )


def _from_catalogue(spec: ModelSpec) -> LocatedModel:
    path = find_source(spec)
    if path is None:
        raise ModelError(f"the model `{one_line(spec.name)}` is not installed: {_where(spec)}", spec.install)
    title = one_line(spec.title or spec.name)
    return LocatedModel(name=spec.name, reference=spec.name, title=title, path=path, options=spec.options)


def _where(spec: ModelSpec) -> str:
    if spec.source.startswith(PACKAGE_SOURCE):
        return f"the Python package {one_line(spec.source.removeprefix(PACKAGE_SOURCE).partition('/')[0])} is missing"
    return f"there is no file {one_line(spec.source, 400)}"


def _from_file(path: Path, name: str, reference: str = "") -> LocatedModel:
    return LocatedModel(
        name=name, reference=reference or name, title=one_line(model_name(path)), path=path, options=LoadOptions()
    )
