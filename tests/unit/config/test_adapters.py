"""`lora` in models.toml and in a preset: paths, names, scales, and every mistake with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.config.catalogue import Catalogue, load_catalogue
from app.config.settings import load_settings
from app.domain.model import LoraAdapter


def load(tmp_path: Path, text: str) -> Catalogue:
    path = tmp_path / "models.toml"
    path.write_text(text)
    return load_catalogue(path)


def test_paths_start_at_the_file_and_names_are_the_files(tmp_path: Path) -> None:
    catalogue = load(
        tmp_path,
        '[models.smollm2]\nlora = [{ path = "sub/pirate.gguf" }, { path = "/x/y.gguf", name = "calm", scale = 0 }]\n'
        '[models.own]\nsource = "m.gguf"\n[[models.own.lora]]\npath = "k.gguf"\nscale = -0.5\n',
    )
    assert catalogue.problems == []
    assert catalogue.models["smollm2"].options.lora == (
        LoraAdapter(path=str(tmp_path / "sub" / "pirate.gguf"), name="pirate", scale=1.0),
        LoraAdapter(path="/x/y.gguf", name="calm", scale=0.0),
    )
    assert catalogue.models["own"].options.lora == (LoraAdapter(path=str(tmp_path / "k.gguf"), name="k", scale=-0.5),)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ('"a.gguf"', "`lora` must be a list"),
        ("[3]", "`lora`: item 1 must be a table"),
        ('[{ path = "a.gguf" }, { scale = 1 }]', "`lora`: item 2 needs a `path`"),
        ('[{ path = "" }]', "`lora`: item 1 needs a `path`"),
        ("[{ path = 3 }]", "`path` must be text, not a whole number"),
        ('[{ path = "a.gguf", scale = 101 }]', "`scale` must be at most 100, not 101"),
        ('[{ path = "a.gguf", scale = inf }]', "`scale` must be a finite number"),
        ('[{ path = "a.gguf", scael = 1 }]', "unknown key `scael`"),
        ('[{ path = "a.gguf" }, { path = "b/a.gguf" }]', "`lora` has two adapters `a`"),
    ],
)
def test_a_mistake_has_its_place_and_marks_the_model(tmp_path: Path, value: str, message: str) -> None:
    catalogue = load(tmp_path, f"[models.smollm2]\nlora = {value}\n")
    (problem,) = catalogue.problems
    assert problem.message.startswith(message)
    assert (problem.line, problem.column, problem.key.split(".")[:3]) == (2, 1, ["models", "smollm2", "lora"])
    assert catalogue.flawed == {"smollm2"}


def test_a_preset_chooses_scales_by_name(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        '[presets.a]\nlora = { pirate = 1, calm = 0.5 }\n[presets.b]\nbased_on = "a"\n[presets.c]\nlora = {}\n'
        '[presets.d]\nlora = { pirate = "much" }\n'
    )
    loaded = load_settings(path)
    chosen = {name: preset.sampling.lora for name, preset in loaded.settings.presets.items()}
    assert chosen == {"a": {"pirate": 1.0, "calm": 0.5}, "b": {"pirate": 1.0, "calm": 0.5}, "c": {}, "d": {}}
    assert [(p.line, p.message) for p in loaded.problems] == [(8, "`pirate` must be a number, not text")]
    assert loaded.flawed_presets == {"d"}
