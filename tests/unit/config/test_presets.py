import msgspec
import pytest

from app.config.presets import find_preset
from app.config.settings import Settings, load_presets
from app.domain.errors import ConfigError
from app.domain.sampling import CANONICAL, Preset, SamplingParams, does_something


def test_shipped() -> None:
    presets = load_presets(Settings())
    assert list(presets) == ["balanced", "plain", "precise", "creative", "deterministic", "coding"]
    assert presets["balanced"].sampling == SamplingParams(temperature=0.8, min_p=0.1, repeat_penalty=1.1)
    assert presets["deterministic"].sampling.temperature == 0
    assert presets["deterministic"].sampling.seed is not None
    for preset in presets.values():
        assert preset.description
        msgspec.convert(msgspec.to_builtins(preset.sampling), SamplingParams)  # within the limits


def test_plain_is_temperature_and_top_p_and_nothing_else() -> None:
    sampling = load_presets(Settings())["plain"].sampling
    assert sampling.samplers == ("temperature", "top-p")
    active = [stage for stage in CANONICAL if does_something(stage, sampling)]
    assert sorted(active) == ["temperature", "top-p"]
    assert (sampling.mirostat, sampling.adaptive_target, sampling.dynatemp_range) == (0, -1.0, 0.0)


def test_a_preset_of_the_user(load) -> None:
    loaded = load('[presets.x]\nsystem = "hi"\nmodel = "m"\ntemperature = 1\nstop = ["a"]')
    assert loaded.problems == []
    expected = Preset(name="x", system="hi", model="m", sampling=SamplingParams(temperature=1.0, stop=("a",)))
    assert load_presets(loaded.settings)["x"] == expected


def test_based_on_in_any_order_and_depth(load) -> None:
    loaded = load('[presets.c]\nbased_on = "b"\nseed = 3\n[presets.b]\nbased_on = "coding"\ntop_k = 2\n')
    coding = load_presets(loaded.settings)["coding"]
    b, c = loaded.settings.presets["b"], loaded.settings.presets["c"]
    assert loaded.problems == []
    assert b.system == c.system == coding.system
    assert b.sampling == msgspec.structs.replace(coding.sampling, top_k=2)
    assert c.sampling == msgspec.structs.replace(coding.sampling, top_k=2, seed=3)


def test_a_shipped_name_changes_only_what_is_given(load) -> None:
    for extra in ("", 'based_on = "balanced"\n'):
        balanced = load(f"[presets.balanced]\n{extra}temperature = 0.1").settings.presets["balanced"]
        assert balanced.sampling == SamplingParams(temperature=0.1, min_p=0.1, repeat_penalty=1.1)


def test_circles_are_reported_once(load) -> None:
    loaded = load(
        '[presets.a]\nbased_on="b"\n[presets.b]\nbased_on="c"\n[presets.c]\nbased_on="a"\n[presets.d]\nbased_on="d"'
    )
    assert [(p.line, p.key) for p in loaded.problems] == [(6, "presets.c.based_on"), (8, "presets.d.based_on")]
    assert "a > b > c > a" in loaded.problems[0].message
    assert set(loaded.settings.presets) == {"a", "b", "c", "d"}


def test_a_long_chain_is_refused_not_followed(load) -> None:
    text = "".join(f'[presets.p{i}]\nbased_on = "p{i + 1}"\n' for i in range(400)) + "[presets.p400]\nseed = 1\n"
    loaded = load(text)
    assert "`based_on` chains more than" in loaded.problems[0].message
    assert len(loaded.settings.presets) == 401


def test_an_unknown_base_names_the_nearest(load) -> None:
    (problem,) = load('[presets.x]\nbased_on = "creativ"').problems
    assert (problem.line, problem.suggestion) == (2, "creative")


def test_find() -> None:
    presets = load_presets(Settings())
    assert find_preset("coding", presets).name == "coding"
    with pytest.raises(ConfigError, match="no preset `codign`") as caught:
        find_preset("codign", presets)
    assert "Did you mean `coding`?" in caught.value.hint


def test_the_context_policy_of_a_preset(load) -> None:
    loaded = load('[presets.x]\ncontext = "shift"\n[presets.y]\nbased_on = "x"\n[presets.z]\ncontext = "forget"')
    assert (loaded.settings.presets["y"].context, loaded.settings.presets["z"].context) == ("shift", "stop")
    assert [problem.key for problem in loaded.problems] == ["presets.z.context"]
