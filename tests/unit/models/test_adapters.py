"""Adapter files are checked beside their model, before an engine sees them."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.config.catalogue import Catalogue
from app.domain.errors import ModelError
from app.domain.model import LoadOptions, LoraAdapter, ModelSpec
from app.models.gguf import model_sizes, read_header
from app.models.listing import AdapterRow, list_models
from app.models.locate import locate
from tests.fakes.tiny_gguf import write_tiny_gguf
from tests.synthetic.lora import write_lora


def catalogue(folder: Path, adapter: Path) -> Catalogue:
    model = write_tiny_gguf(folder / "m.gguf")
    options = LoadOptions(lora=(LoraAdapter(name="style", path=str(adapter), scale=0.5),))
    spec = ModelSpec(name="m", source=str(model), options=options)
    return Catalogue(models={"m": spec}, default="m", problems=[])


def test_a_good_one_is_handed_out_and_listed(tmp_path: Path) -> None:
    path = write_lora(tmp_path / "a.gguf", n_layers=2, n_embd=32)
    known = catalogue(tmp_path, path)
    found = locate("m", known, None)
    assert found.options.lora == (LoraAdapter(name="style", path=str(path), scale=0.5),)
    assert found.sizes == model_sizes(read_header(found.path), path.stat().st_size)
    (row,) = list_models(known, None)
    assert row.adapters == (AdapterRow(name="style", path=str(path), scale=0.5, size_bytes=path.stat().st_size),)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"general__architecture": "gemma2"}, "is for models of architecture gemma2, this one is llama"),
        ({"general__type": "model"}, "is not a LoRA adapter (its type is model)"),
        ({"general__type": None}, "is not a LoRA adapter (its type is model)"),
        ({"general__type": 3}, "is not a LoRA adapter (its type is 3)"),
        ({"adapter__type": "control"}, "is not a LoRA adapter (its type is adapter)"),
        ({"adapter__lora__alpha": "4"}, "is damaged: it has no alpha"),
    ],
)
def test_a_wrong_one_is_refused_with_its_name(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    path = write_lora(tmp_path / "a.gguf", **({"n_layers": 2, "n_embd": 32} | changes))  # pyright: ignore
    known = catalogue(tmp_path, path)
    with pytest.raises(ModelError) as refused:
        locate("m", known, None)
    assert str(refused.value).startswith("the adapter `style`")
    assert message in str(refused.value)
    (row,) = list_models(known, None)
    assert row.adapters[0].problem == str(refused.value)


def test_one_that_is_missing_or_broken_says_where_it_is_named(tmp_path: Path) -> None:
    missing = catalogue(tmp_path, tmp_path / "gone.gguf")
    with pytest.raises(ModelError, match="does not exist") as refused:
        locate("m", missing, None)
    assert "models.toml" in refused.value.hint
    (tmp_path / "bad.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelError, match=r"the adapter `style`: .*bad\.gguf is incomplete"):
        locate("m", catalogue(tmp_path, tmp_path / "bad.gguf"), None)
