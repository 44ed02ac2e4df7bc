import os
import sys
from pathlib import Path

import pytest

from app.config.catalogue import Catalogue
from app.domain.errors import ModelError
from app.domain.model import LoadOptions, ModelSpec
from app.domain.remote import RemoteModel
from app.models.gguf import model_sizes, read_header
from app.models.listing import ModelRow, list_models
from app.models.locate import LocatedModel, locate
from tests.fakes.tiny_gguf import write_tiny_gguf


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that carries a model and must never be imported."""
    folder = tmp_path / "site" / "carrier_of_a_model"
    folder.mkdir(parents=True)
    folder.joinpath("__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(folder.parent)
    return write_tiny_gguf(folder / "tiny.gguf")


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    (folder / "author" / "repo").mkdir(parents=True)
    write_tiny_gguf(folder / "alpha.Q8_0.gguf")
    write_tiny_gguf(folder / "author" / "repo" / "deep.gguf")
    write_tiny_gguf(folder / "mmproj-alpha.gguf")
    for part in (1, 2):
        write_tiny_gguf(folder / f"big-0000{part}-of-00002.gguf", **{"split.count": 2})
    folder.joinpath("broken.gguf").write_bytes(b"GGUF")
    return folder


def catalogue(*specs: ModelSpec) -> Catalogue:
    return Catalogue(models={spec.name: spec for spec in specs}, default=specs[0].name if specs else "", problems=[])


STARTER = ModelSpec(
    name="starter",
    title="Starter 1M",
    source="package:carrier_of_a_model/tiny.gguf",
    install="pip install starter",
    options=LoadOptions(n_ctx=512),
)
MISSING = ModelSpec(name="missing", source="/nowhere/missing.gguf", install="ask somebody")


def test_catalogue_name_in_a_package_that_is_not_imported(package: Path) -> None:
    found = locate("starter", catalogue(STARTER), None)
    sizes = model_sizes(read_header(package))
    options = LoadOptions(n_ctx=512)
    assert found == LocatedModel(
        name="starter", reference="starter", title="Starter 1M", path=package, options=options, sizes=sizes
    )
    assert "carrier_of_a_model" not in sys.modules


def test_nothing_wanted_takes_the_default_then_the_first_installed(package: Path, models_dir: Path) -> None:
    assert locate(None, catalogue(STARTER, MISSING), models_dir).name == "starter"
    assert locate(None, catalogue(MISSING, STARTER), models_dir).name == "starter"
    assert locate(None, catalogue(MISSING), models_dir).name == "alpha.Q8_0"


def test_nothing_installed_says_what_to_do() -> None:
    with pytest.raises(ModelError, match="no model is installed") as caught:
        locate(None, catalogue(STARTER), None)
    for way in ("pip install starter", "-m path/to/model.gguf", "models_dir"):
        assert way in caught.value.hint


@pytest.mark.parametrize("wanted", ["alpha.Q8_0", "alpha.Q8_0.gguf"])
def test_a_file_of_the_folder_by_name(models_dir: Path, wanted: str) -> None:
    found = locate(wanted, catalogue(), models_dir)
    assert (found.name, found.path) == ("alpha.Q8_0", models_dir / "alpha.Q8_0.gguf")


def test_split_and_deep_files_by_name(models_dir: Path) -> None:
    assert locate("big", catalogue(), models_dir).path.name == "big-00001-of-00002.gguf"
    assert locate("deep", catalogue(), str(models_dir)).path == models_dir / "author" / "repo" / "deep.gguf"


def test_a_path(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(models_dir)
    monkeypatch.setenv("HOME", str(models_dir))
    for wanted in ("./alpha.Q8_0.gguf", "alpha.Q8_0.gguf", "~/alpha.Q8_0.gguf", str(models_dir / "alpha.Q8_0.gguf")):
        assert locate(wanted, catalogue(), None).path == models_dir / "alpha.Q8_0.gguf"


@pytest.mark.parametrize(
    ("wanted", "message", "hint"),
    [
        ("missing", "not installed: there is no file", "ask somebody"),
        ("starter", "the Python package carrier_of_a_model is missing", "pip install starter"),
        ("startr", "there is no model `startr`", "Did you mean `starter`?"),
        ("./no.gguf", "there is no file ./no.gguf", "tok models"),
        ("/", "/ is a folder", "models_dir"),
        ("app", "there is no model `app`", "tok models"),
        ("a\0b", "there is no model", "tok models"),
        ("", "there is no", "tok models"),
    ],
)
def test_what_is_not_there(wanted: str, message: str, hint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[3])  # where the folder `app` is
    with pytest.raises(ModelError) as caught:
        locate(wanted, catalogue(STARTER, MISSING), None)
    assert message in str(caught.value)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "source",
    ["package:", "package:a.b/c", "package:no_such_package_at_all/x", "package:app/../pyproject.toml", "package:app"],
)
def test_odd_package_sources_are_not_installed(source: str) -> None:
    with pytest.raises(ModelError, match="not installed"):
        locate("odd", catalogue(ModelSpec(name="odd", source=source)), None)


def test_a_path_is_not_taken_for_a_name(models_dir: Path, tmp_path: Path) -> None:
    other = write_tiny_gguf(tmp_path / "alpha.Q8_0.gguf")
    assert locate(str(other), catalogue(), models_dir).path == other
    write_tiny_gguf(models_dir / "alpha.gguf")
    with pytest.raises(ModelError, match=r"no model `alpha\.Q4`"):
        locate("alpha.Q4", catalogue(), models_dir)


def test_a_file_that_is_no_good_is_refused(models_dir: Path) -> None:
    with pytest.raises(ModelError, match="incomplete"):
        locate("broken", catalogue(), models_dir)


def test_listing(package: Path, models_dir: Path) -> None:
    rows = {row.name: row for row in list_models(catalogue(STARTER, MISSING), models_dir)}
    assert list(rows) == ["starter", "missing", "alpha.Q8_0", "big", "broken", "deep"]
    assert rows["missing"] == ModelRow(
        name="missing", title="missing", where="/nowhere/missing.gguf", install="ask somebody"
    )
    starter = rows["starter"]
    assert (starter.path, starter.size_bytes, starter.quant) == (package, package.stat().st_size, "F32")
    assert (starter.installed, starter.n_ctx_train, starter.problem) == (True, 256, "")
    assert rows["broken"].installed
    assert "incomplete" in rows["broken"].problem


def test_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert list_models(catalogue(), tmp_path / "no") == []


def test_a_draft_model_is_found_like_the_model(package: Path, models_dir: Path) -> None:
    spec = ModelSpec(name="starter", source=STARTER.source, options=LoadOptions(draft="alpha.Q8_0"))
    assert locate("starter", catalogue(spec), models_dir).options.draft == str(models_dir / "alpha.Q8_0.gguf")
    assert locate("starter", catalogue(STARTER), models_dir, draft="deep").options.draft == str(
        models_dir / "author" / "repo" / "deep.gguf"
    )


def test_the_sizes_show_of_the_draft_model_too(package: Path, models_dir: Path) -> None:
    found = locate("starter", catalogue(STARTER), models_dir, draft="alpha.Q8_0").sizes
    assert found
    assert found.draft == model_sizes(read_header(models_dir / "alpha.Q8_0.gguf"))


def test_a_draft_model_that_is_no_good_is_refused(package: Path, models_dir: Path) -> None:
    with pytest.raises(ModelError):
        locate("starter", catalogue(STARTER), models_dir, draft="broken")


def test_what_is_there_and_no_file_is_said_to_be_none(tmp_path):
    os.mkfifo(tmp_path / "pipe.gguf")
    (tmp_path / "gone.gguf").symlink_to(tmp_path / "nothing")
    for name, message in [
        ("pipe.gguf", "is not a regular file"),
        ("gone.gguf", "is not a regular file: it is a link to a missing file"),
    ]:
        with pytest.raises(ModelError) as caught:
            locate(str(tmp_path / name), catalogue(), None)
        assert str(caught.value) == f"{tmp_path / name} {message}"


def test_a_reference_is_good_in_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("models", "here"):
        (tmp_path / folder).mkdir()
    write_tiny_gguf(tmp_path / "models" / "own.gguf")
    write_tiny_gguf(tmp_path / "here" / "local.gguf")
    catalogue = Catalogue(models={}, default="", problems=[])
    monkeypatch.chdir(tmp_path / "here")
    found = [locate(wanted, catalogue, tmp_path / "models") for wanted in ("own", "own.gguf", "./local.gguf", None)]
    assert [each.reference for each in found] == ["own", "own", str(tmp_path / "here" / "local.gguf"), "own"]
    assert found[2].name == "./local.gguf"


REMOTE = ModelSpec(
    name="big", source="openai:http://h/v1#m", options=LoadOptions(remote=RemoteModel(url="http://h/v1", model="m"))
)


def test_a_model_that_a_server_runs_needs_no_file() -> None:
    catalogue = Catalogue(models={"big": REMOTE}, default="", problems=[])
    located = locate("big", catalogue, None)
    assert (located.name, located.title, located.options, located.sizes) == ("big", "big", REMOTE.options, None)
    with pytest.raises(ModelError, match="no draft model"):
        locate("big", catalogue, None, draft="big")


def test_a_server_is_never_asked_unless_it_is_named_or_the_default() -> None:
    with pytest.raises(ModelError, match="no model is installed"):
        locate(None, Catalogue(models={"big": REMOTE}, default="", problems=[]), None)
    assert locate(None, Catalogue(models={"big": REMOTE}, default="big", problems=[]), None).name == "big"


def test_a_model_that_a_server_runs_is_listed_with_its_address() -> None:
    row = list_models(Catalogue(models={"big": REMOTE}, default="", problems=[]), None)[0]
    assert (row.installed, row.path, row.where, row.problem) == (True, None, "openai:http://h/v1#m", "")
