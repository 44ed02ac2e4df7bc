"""A wheel, installed in a fresh environment, works like the checkout: builds offline, finds its data, asks a model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from app import __version__

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=50
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment that has the wheel, and borrows the dependencies that are already built."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, symlinks=True)
    scripts = folder / "bin"
    python = scripts / Path(sys.executable).name
    target = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel, cwd=folder)
    # A path in a .pth file is searched, but its own .pth files are not: the checkout stays out of reach.
    (target / "borrowed.pth").write_text(sysconfig.get_path("platlib") + "\n")
    return scripts


def test_the_wheel_carries_the_manual(wheel: Path) -> None:
    pages = {file.relative_to(ROOT).as_posix() for file in (ROOT / "app" / "manual").glob("*.md")}
    assert len(pages) > 10
    assert pages <= set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_carries_the_catalogue_and_the_themes(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "app/_data/models.toml" in names
    shipped = {f"app/_data/themes/{file.name}" for file in (ROOT / "themes").glob("*.toml")}
    assert shipped
    assert shipped <= set(names)
    assert not [name for name in names if name.startswith(("tests", "themes"))]


def test_the_code_is_the_wheels(installed: Path, tmp_path: Path) -> None:
    reported = run(installed / "python", "-c", "import app; print(app.__file__)", cwd=tmp_path)
    assert Path(reported.strip()).is_relative_to(installed.parent)


def test_version_and_presets_from_another_folder(installed: Path, tmp_path: Path) -> None:
    assert run(installed / "tok", "--version", cwd=tmp_path).startswith(f"tokscope {__version__}\nllama-cpp-python ")
    assert "balanced" in run(installed / "tokscope", "presets", "list", cwd=tmp_path)
    assert "configuration OK" in run(installed / "tok", "config", "check", cwd=tmp_path)


def test_every_shipped_theme_is_found(installed: Path, tmp_path: Path) -> None:
    code = "import json; from app.config.themes import load_themes; print(json.dumps(sorted(load_themes().themes)))"
    names = json.loads(run(installed / "python", "-c", code, cwd=tmp_path))
    assert len(names) == len(list((ROOT / "themes").glob("*.toml")))


@pytest.mark.model
def test_a_question_from_another_folder(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()  # a stranger's folder of the same name must not get in the way
    (tmp_path / "app" / "__init__.py").write_text("raise SystemExit('the wrong app')")
    report = json.loads(run(installed / "tok", "ask", "Hello", "--json", "--max-tokens", "3", cwd=tmp_path))
    assert report["usage"]["n_generated"] == 3
