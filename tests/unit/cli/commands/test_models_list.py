"""`tok models`: what is there, what is broken, what is missing."""

from __future__ import annotations

from pathlib import Path

from app.config.paths import config_file, ensure_dir, user_models_file
from tests.fakes.tiny_gguf import write_tiny_gguf
from tests.synthetic.lora import write_lora


def rows(out: str) -> dict[str, list[str]]:
    """Cells by name, without the mark of the default."""
    cells = [line.removeprefix("*").split() for line in out.splitlines()[1:]]
    return {row[0]: row[1:] for row in cells if row}


def test_a_broken_file_is_not_installed_and_says_why(tok, tmp_path: Path) -> None:
    ensure_dir(config_file().parent)
    config_file().write_text(f'models_dir = "{tmp_path}"\n')
    (tmp_path / "bad.gguf").write_bytes(b"no model")
    write_tiny_gguf(tmp_path / "good.gguf")
    outcome = tok("models")
    assert outcome.code == 0
    assert rows(outcome.out)["bad"] == ["broken", str(tmp_path / "bad.gguf")]
    assert rows(outcome.out)["good"][0] == "yes"
    (reported,) = [line for line in outcome.err.splitlines() if "bad" in line]
    assert reported.startswith("tok: bad: ")
    assert "GGUF" in reported
    assert "tok: good" not in outcome.err


def test_a_missing_entry_shows_where_it_should_be(tok, tmp_path: Path) -> None:
    ensure_dir(user_models_file().parent)
    gone = tmp_path / "gone.gguf"
    user_models_file().write_text(
        f'[models.gone]\nsource = "{gone}"\n[models.packed]\nsource = "package:nowhere/a.gguf"\ninstall = "pip it"\n'
    )
    outcome = tok("models")
    assert rows(outcome.out)["gone"] == ["no", str(gone)]
    assert rows(outcome.out)["packed"] == ["no", "package:nowhere/a.gguf"]
    assert "hint: to get packed: pip it\n" in outcome.err


def test_adapters_stand_below_with_their_model(tok, tmp_path: Path) -> None:
    ensure_dir(user_models_file().parent)
    model = write_tiny_gguf(tmp_path / "m.gguf")
    good = write_lora(tmp_path / "good.gguf", n_layers=2, n_embd=32)
    user_models_file().write_text(
        f'[models.m]\nsource = "{model}"\n'
        f'lora = [{{ path = "{good}", scale = 0.5 }}, {{ path = "{tmp_path}/gone.gguf" }}]\n'
    )
    outcome = tok("models")
    assert outcome.code == 0
    assert rows(outcome.out)["good"] == ["m", "0.5", "2", "KiB", str(good)]
    assert rows(outcome.out)["gone"] == ["m", "1", "broken", str(tmp_path / "gone.gguf")]
    (reported,) = [line for line in outcome.err.splitlines() if "gone" in line]
    assert reported.startswith("tok: m: the adapter `gone`: ")
