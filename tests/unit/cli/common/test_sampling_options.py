"""Every sampling field from the command line: names, limits, files, and what an error looks like."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from app.cli.common.overrides import with_overrides
from app.cli.common.sampling import sampling_options
from app.config.paths import config_file
from app.domain.errors import UsageError
from app.domain.generation import DraftCounts, FinishReason
from app.domain.parameters import PARAMETERS
from app.domain.sampling import SamplingParams
from app.domain.trace import Draw, Origin, StageTrace
from tests.fakes.engine_events import make_token
from tests.fakes.scripted_engine import ScriptedEngine
from tests.fakes.scripts import Reply

ROOT = Path(__file__).parents[4]

pytestmark = pytest.mark.usefixtures("model")


def asked(tok, *arguments: str) -> SamplingParams:
    engine = ScriptedEngine()
    outcome = tok("ask", "x", *arguments, engine=engine)
    assert outcome.code == 0, outcome.err
    return engine.requests[0].sampling


def refused(tok, *arguments: str) -> dict[str, object]:
    engine = ScriptedEngine()
    outcome = tok("ask", "x", "--json", *arguments, engine=engine)
    assert not engine.requests
    assert outcome.code == outcome.json["error"]["code"] == 2
    return outcome.json["error"]


def test_every_field_has_an_option() -> None:
    assert set(PARAMETERS) == set(SamplingParams.__struct_fields__)
    assert set(sampling_options()) - {"json_mode"} == set(PARAMETERS) - {"lark"}


def test_a_row_and_its_field_agree_about_the_kind_of_number() -> None:
    for field in msgspec.structs.fields(SamplingParams):
        numbers = {kind for kind in (int, float) if re.search(rf"\b{kind.__name__}\b", _own_kind(field.type))}
        assert numbers <= {PARAMETERS[field.name].number}, field.name


def _own_kind(kind: object) -> str:
    return "" if "dict" in str(kind) else str(kind)


def test_a_number_of_a_stage_is_named_in_three_files_alone() -> None:
    """A new one is a field, a row and its stage: nothing else names it, but for what servers call it (`app.remote`)."""
    of_a_stage = ("typical_p", "top_n_sigma", "xtc_threshold", "dry_base", "mirostat_tau", "adaptive_decay")
    wanted = {"app/domain/parameters.py", "app/domain/sampling.py", "app/engine/native/stages.py"}
    for name in of_a_stage:
        word = re.compile(rf"\b{name}\b")
        files = {path for path in (ROOT / "app").rglob("*.py") if word.search(path.read_text(encoding="utf-8"))}
        named = {path.relative_to(ROOT).as_posix() for path in files}
        assert {path for path in named if not path.startswith("app/remote/")} == wanted, name


@pytest.mark.parametrize(
    ("option", "field", "value"),
    [
        ("--typical-p 0.9", "typical_p", 0.9),
        ("--top-n-sigma 1.5", "top_n_sigma", 1.5),
        ("--xtc-probability 0.5", "xtc_probability", 0.5),
        ("--xtc-threshold 0.2", "xtc_threshold", 0.2),
        ("--frequency-penalty -0.5", "frequency_penalty", -0.5),
        ("--presence-penalty 0.5", "presence_penalty", 0.5),
        ("--penalty-last-n -1", "penalty_last_n", -1),
        ("--dry-multiplier 0.8", "dry_multiplier", 0.8),
        ("--dry-base 2", "dry_base", 2.0),
        ("--dry-allowed-length 3", "dry_allowed_length", 3),
        ("--dry-penalty-last-n 64", "dry_penalty_last_n", 64),
        ("--dry-breaker . --dry-breaker ;", "dry_sequence_breakers", (".", ";")),
        ("--dynatemp-range 0.3", "dynatemp_range", 0.3),
        ("--dynatemp-exponent 2", "dynatemp_exponent", 2.0),
        ("--adaptive-target 0.4", "adaptive_target", 0.4),
        ("--adaptive-decay 0.5", "adaptive_decay", 0.5),
        ("--mirostat 2", "mirostat", 2),
        ("--mirostat-tau 3", "mirostat_tau", 3.0),
        ("--mirostat-eta 0.2", "mirostat_eta", 0.2),
        ("--samplers top-k,temperature", "samplers", ("top-k", "temperature")),
        ("--ban rain --ban #7", "ban", ("rain", "#7")),
        ("--ban-text delve --ban-text rain", "ban_text", ("delve", "rain")),
        ("--force Rain", "force", ("Rain",)),
        ("--bias rain=2.5 --bias #3=-1 --bias a=b=1", "logit_bias", {"rain": 2.5, "#3": -1.0, "a=b": 1.0}),
        ("--lora pirate --lora a=b=0.5 --lora calm=0", "lora", {"pirate": 1.0, "a=b": 0.5, "calm": 0.0}),
        (
            '--thinking temperature=1.5 --thinking samplers=["top-k"]',
            "thinking",
            {"temperature": 1.5, "samplers": ["top-k"]},
        ),
        ("--exact", "exact", True),
    ],
)
def test_an_option_sets_its_field(tok, option: str, field: str, value: object) -> None:
    assert getattr(asked(tok, *option.split()), field) == value


def test_a_flag_undoes_what_the_preset_says(tok) -> None:
    with config_file().open("a") as config:
        config.write('preset = "mine"\n[presets.mine]\nexact = true\ngrammar = "root ::= \\"a\\""\n')
    assert asked(tok).exact
    assert not asked(tok, "--no-exact").exact


def test_a_grammar_and_a_schema_come_from_files(tok, tmp_path: Path) -> None:
    (tmp_path / "yes.gbnf").write_text('\nroot ::= "yes"\n')
    (tmp_path / "list.json").write_text('{"type": "array"}')
    assert asked(tok, "--grammar", str(tmp_path / "yes.gbnf")).grammar == '\nroot ::= "yes"\n'
    assert asked(tok, "--schema", str(tmp_path / "list.json")).json_schema == '{"type": "array"}'


def test_lark_regex_and_json_mode(tok, tmp_path: Path) -> None:
    (tmp_path / "yes.LARK").write_text('start: "yes"\n')
    assert asked(tok, "--grammar", str(tmp_path / "yes.LARK")).lark == 'start: "yes"\n'
    assert asked(tok, "--regex", "a+").regex == "a+"
    assert asked(tok, "--json-mode").json_schema == '{"type": "object"}'
    assert asked(tok, "--json-mode", "--schema-lenient").schema_lenient


@pytest.mark.parametrize(
    ("one", "other"),
    [("--schema x", "--json-mode"), ("--schema x", "--regex a"), ("--regex a", "--grammar x.lark")],
)
def test_an_answer_has_one_form(tok, one: str, other: str) -> None:
    message = f"{one.split()[0]} and {other.split()[0]} exclude each other"
    assert refused(tok, *one.split(), *other.split())["message"] == message


def test_a_schema_takes_the_presets_grammar_away(tok, tmp_path: Path) -> None:
    with config_file().open("a") as config:
        config.write('preset = "mine"\n[presets.mine]\ngrammar = "root ::= \\"a\\""\n')
    (tmp_path / "list.json").write_text("{}")
    sampling = asked(tok, "--schema", str(tmp_path / "list.json"))
    assert (sampling.grammar, sampling.json_schema) == (None, "{}")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{\n "type": array}', "schema.json:2:10: not JSON: Expecting value"),
        (b"[1]", "is not a JSON object"),
        (b"{\xff}", "is not UTF-8 text (byte 1)"),
        (b"[" * 100_000, "is not valid JSON"),
        (b" " * ((1 << 20) + 1), "is longer than 1 MiB"),
    ],
    ids=["syntax", "list", "bytes", "deep", "long"],
)
def test_a_bad_schema_is_a_usage_error(tok, tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "schema.json"
    path.write_bytes(data)
    assert message in str(refused(tok, "--schema", str(path))["message"])


def test_a_file_that_is_not_there(tok) -> None:
    error = refused(tok, "--grammar", "nowhere.gbnf")
    assert error["message"] == "cannot read nowhere.gbnf: No such file or directory"
    assert error["hint"]


def test_an_empty_grammar(tok, tmp_path: Path) -> None:
    (tmp_path / "empty.gbnf").write_text("\n")
    assert "is empty" in str(refused(tok, "--grammar", str(tmp_path / "empty.gbnf"))["message"])


def test_a_grammar_excludes_a_schema(tok) -> None:
    assert "exclude each other" in str(refused(tok, "--grammar", "a", "--schema", "b")["message"])


@pytest.mark.parametrize("bias", ["rain", "=1", "rain=", "rain=much", "rain=inf", "rain=nan"])
def test_a_bias_that_is_none(tok, bias: str) -> None:
    assert "is not TOKEN=VALUE" in str(refused(tok, "--bias", bias)["message"])


def test_an_unknown_stage_is_reported_with_those_there_are(tok) -> None:
    error = refused(tok, "--samplers", "top-k,heat")
    assert "`samplers` is wrong" in str(error["message"])
    assert "top-n-sigma" in str(error["hint"])


@pytest.mark.parametrize(
    ("written", "meant"), [("top_k", "top-k"), ("min_p,temperature", "min-p"), ("top-k,Temperature", "temperature")]
)
def test_an_unknown_stage_is_reported_with_the_nearest(tok, written: str, meant: str) -> None:
    assert str(refused(tok, "--samplers", written)["hint"]).startswith(f"did you mean `{meant}`? the stages are logit-")


@pytest.mark.parametrize("more", [("--speculate",), ("--draft", "MODEL")])
def test_exact_says_that_it_drafts_nothing(tok, model, more: tuple[str, ...]) -> None:
    given = [str(model) if each == "MODEL" else each for each in more]
    outcome = tok("ask", "x", "--exact", *given, engine=ScriptedEngine(["one"]))
    assert (outcome.code, outcome.out) == (0, "one\n")
    assert outcome.err == "tok: no drafts: `exact` decodes one token per step\n"
    assert tok("ask", "x", *given, engine=ScriptedEngine(["one"])).err == ""
    assert tok("ask", "x", "--exact", engine=ScriptedEngine(["one"])).err == ""


def test_an_error_that_the_engine_finds_exits_with_1(tok) -> None:
    text = "the grammar is wrong at line 1, column 3: expecting newline or end"
    engine = ScriptedEngine([Reply(finish=FinishReason.ERROR, error=text)])
    outcome = tok("ask", "x", "--json", engine=engine)
    assert (outcome.code, outcome.json["error"]["message"], outcome.json["text"]) == (1, text, "")


def test_unknown_fields_name_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown sampling field `temprature`") as caught:
        with_overrides(SamplingParams(), {"temprature": 1})
    assert caught.value.hint == "did you mean `temperature`?"


def test_limits_are_reported_with_the_field() -> None:
    with pytest.raises(UsageError, match=r"`top_p` is wrong: expected `float` <= 1\.0"):
        with_overrides(SamplingParams(), {"top_p": 2})


@pytest.mark.parametrize(("flag", "expected"), [([], None), (["--speculate"], True), (["--no-speculate"], False)])
def test_speculation_is_asked_for_by_option(tok, flag: list[str], expected: bool | None) -> None:
    engine = ScriptedEngine()
    tok("ask", "x", *flag, engine=engine)
    assert engine.requests[0].speculate is expected


@pytest.mark.parametrize(("flag", "expected"), [([], True), (["--no-speculate"], False)])
def test_speculation_is_asked_for_by_the_settings(tok, flag: list[str], expected: bool) -> None:
    text = config_file().read_text()
    config_file().write_text(f'speculation = "ngram"\n{text}')
    engine = ScriptedEngine()
    tok("ask", "x", *flag, engine=engine)
    assert engine.requests[0].speculate is expected


def test_the_stage_report_says_what_was_cut_where(tok) -> None:
    stages = (
        StageTrace("top-k", 49152, 2, (0.7, 0.3, 0.0)),
        StageTrace("min-p", 2, 1, (1.0, 0.0, 0.0)),
        StageTrace("dist", 1, 1, (1.0, 0.0, 0.0)),
    )
    traced = msgspec.structs.replace(make_token("Rain", n_top=3), stages=stages, draw=Draw(0.25, 0.0, 1.0))
    script = Reply(tokens=(traced, make_token(" falls", 1)), finish=FinishReason.LENGTH)
    engine = ScriptedEngine([script])
    outcome = tok("ask", "x", "--json", "--trace-stages", "--logprobs", "3", engine=engine)
    assert engine.requests[0].trace_stages
    first, last = outcome.json["tokens"]
    assert first["stages"] == [
        {"name": "top-k", "n_in": 49152, "n_out": 2, "cut": [1003], "p": [0.7, 0.3, 0.0]},
        {"name": "min-p", "n_in": 2, "n_out": 1, "cut": [1002], "p": [1.0, 0.0, 0.0]},
        {"name": "dist", "n_in": 1, "n_out": 1, "cut": [], "p": [1.0, 0.0, 0.0]},
    ]
    assert first["draw"] == {"u": 0.25, "low": 0.0, "high": 1.0}
    assert not {"stages", "draw"} & last.keys()


def test_the_stage_report_brings_ten_alternatives(tok) -> None:
    engine = ScriptedEngine(["Rain"])
    lines = tok("ask", "x", "--jsonl", "--trace-stages", engine=engine).lines
    assert engine.requests[0].trace_top_k == 10
    assert [len(line["top"]) for line in lines if line["event"] == "token"] == [10, 10]


def test_the_stage_report_needs_json(tok) -> None:
    outcome = tok("ask", "x", "--trace-stages")
    assert outcome.code == 2
    assert "--trace-stages needs --json" in outcome.err


def test_help_lists_the_options_under_headings(tok) -> None:
    out = tok("ask", "--help").out
    headings = ["Arguments:", "Options:", "Sampling:", "Length and form:", "Grammar (one of them):", "Repetition:"]
    assert [line for line in out.splitlines() if line.endswith(":") and not line.startswith(" ")] == [
        *headings,
        "Sampling, further:",
    ]
    assert json.dumps(out).count("--grammar") == 1


def test_drafts_are_reported_where_there_were_any(tok) -> None:
    counts = DraftCounts(n_steps=2, n_drafted=5, n_accepted=4, drafted_at=(2, 2, 1), accepted_at=(2, 2, 0))
    engine = ScriptedEngine([Reply(pieces=("Rain",), drafting=counts)])
    outcome = tok("ask", "x", "--json", "--stats", engine=engine)
    reported = json.loads(msgspec.json.encode(msgspec.structs.asdict(counts)))
    assert outcome.json["drafting"] == reported | {"gain": None}
    drafts = "drafts   4 of 5 tokens accepted · 2 steps · 2.0 per step · by position 100 %, 100 %, 0.0 %"
    assert f"{drafts} · gain unknown: not enough plain steps" in outcome.err


def test_whether_drafts_paid_is_measured_in_the_same_run(tok) -> None:
    # Each draft brings two tokens in 12 ms; a plain step takes 10 ms a token.
    pair = [
        msgspec.structs.replace(make_token(" b", ms=12.0), origin=Origin.DRAFT),
        msgspec.structs.replace(make_token(" c", ms=0.0), origin=Origin.BONUS),
    ]
    tokens = [*(make_token(" a", ms=10.0) for _ in range(9)), *(pair * 8)]
    script = Reply(tokens=tokens, drafting=DraftCounts(8, 8, 8, (8,), (8,)), finish=FinishReason.LENGTH)
    outcome = tok("ask", "hi", "--stats", "--json", engine=ScriptedEngine([script]))
    assert outcome.json["drafting"]["gain"] == pytest.approx((8 + 16) * 10 / (8 * 10 + 8 * 12), abs=1e-3)
    assert "by position 100 % · gain ×1.36: saved 64.0 ms" in outcome.err


def test_speculation_that_never_drafted_says_so(tok) -> None:
    script = Reply(pieces=("Rain",), drafting=DraftCounts())
    assert (
        "drafts   none: no draft was expected to pay"
        in tok("ask", "hi", "--stats", engine=ScriptedEngine([script])).err
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("pirate=much", "--lora 'pirate=much' is not NAME=SCALE"),
        ("pirate=101", "`lora` is wrong inside: expected `float` <= 100.0"),
        ("pirate=nan", "--lora 'pirate=nan' is not NAME=SCALE"),
        ("=1", "--lora '=1' is not NAME=SCALE"),
    ],
)
def test_an_adapter_without_a_usable_scale(tok, given: str, message: str) -> None:
    assert message in str(refused(tok, "--lora", given)["message"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("hot", "--thinking 'hot' is not FIELD=VALUE"),
        ("seed=3", "`seed` applies to the whole reply, not to thinking alone"),
        ("temperature=hot", "`temperature` is wrong: expected `float`, got `str`"),
        ("heat=1", "object contains unknown field `heat`"),
    ],
)
def test_values_for_thinking_that_cannot_be(tok, given: str, message: str) -> None:
    assert message in str(refused(tok, "--thinking", given)["message"])


def test_tokens_that_the_set_for_thinking_chose_say_so(tok) -> None:
    inside = msgspec.structs.replace(make_token("Hm"), thinking=True)
    engine = ScriptedEngine([Reply(tokens=(inside, make_token(" rain", 1)), finish=FinishReason.LENGTH)])
    tokens = tok("ask", "x", "--json", "--logprobs", "1", engine=engine).json["tokens"]
    assert [token.get("thinking") for token in tokens] == [True, None]
