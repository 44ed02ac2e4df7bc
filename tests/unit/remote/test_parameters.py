from typing import Any

import pytest

from app.domain.errors import GenerationError
from app.domain.sampling import CANONICAL, SamplingParams
from app.remote.parameters import sampling_fields
from app.remote.servers import (
    LLAMA_SERVER,
    LM_STUDIO,
    OLLAMA,
    OPENAI,
    OPENROUTER,
    OTHER,
    SGLANG,
    TGI,
    VLLM,
    Server,
    server_of,
)

PLAIN = SamplingParams(
    temperature=0.7, top_k=0, top_p=1.0, min_p=0.0, typical_p=1.0, repeat_penalty=1.0, samplers=CANONICAL
)
CORE = {"temperature": 0.7, "top_p": 1.0, "frequency_penalty": 0.0, "presence_penalty": 0.0}
KEEPS = {"top_k": 0, "min_p": 0.0}


@pytest.mark.parametrize(
    ("server", "fields"),
    [
        (OTHER, CORE),
        (OPENAI, CORE),
        (VLLM, CORE | KEEPS | {"repetition_penalty": 1.0}),
        (SGLANG, CORE | KEEPS | {"repetition_penalty": 1.0}),
        (OPENROUTER, CORE | KEEPS | {"repetition_penalty": 1.0}),
        (LM_STUDIO, CORE | {"top_k": 0, "repeat_penalty": 1.0}),
        (TGI, {"temperature": 0.7}),
        (OLLAMA, CORE | KEEPS | {"typical_p": 1.0, "repeat_penalty": 1.0, "mirostat": 0}),
    ],
    ids=lambda value: value.title if isinstance(value, Server) else "",
)
def test_what_does_nothing_is_sent_too_and_nothing_is_missing(server: Server, fields: dict[str, Any]) -> None:
    assert sampling_fields(PLAIN, server) == (fields, [])


def test_llama_server_takes_all() -> None:
    params = SamplingParams(
        dry_multiplier=0.5, xtc_probability=0.1, mirostat=2, adaptive_target=0.3, dynatemp_range=0.2
    )
    fields, ignored = sampling_fields(params, LLAMA_SERVER)
    assert ignored == []
    assert fields["samplers"] == [
        *("penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature")
    ]
    assert (fields["mirostat_tau"], fields["dry_base"], fields["xtc_threshold"]) == (5.0, 1.75, 0.1)


def test_what_a_server_does_not_take_is_listed() -> None:
    params = SamplingParams(top_k=40, min_p=0.05, dry_multiplier=0.5, exact=True, ban_text=("x",))
    assert sampling_fields(params, OTHER)[1] == ["top_k", "min_p", "dry_multiplier", "ban_text", "exact"]


def test_a_stage_that_does_not_run_does_nothing_there() -> None:
    params = SamplingParams(top_p=0.5, temperature=0.3, samplers=("top-k",))
    fields, ignored = sampling_fields(params, OTHER)
    assert (fields["top_p"], fields["temperature"]) == (1.0, 1.0)
    assert ignored == ["top_k", "samplers"]


def test_the_details_of_what_is_off_are_not_sent() -> None:
    fields, _ = sampling_fields(PLAIN, LLAMA_SERVER)
    assert not {"dry_base", "xtc_threshold", "mirostat_tau", "repeat_last_n"} & set(fields)


BIASED = SamplingParams(logit_bias={"#5": 2.0, "yes": 1.0}, ban=("#7",))


@pytest.mark.parametrize(
    ("server", "bias", "ignored"),
    [
        (LLAMA_SERVER, [(5, 2.0), ("yes", 1.0), (7, -100.0)], []),
        (VLLM, {"5": 2.0, "7": -100.0}, ["logit_bias"]),
        (OLLAMA, None, ["logit_bias", "ban"]),
    ],
    ids=["llama-server", "vLLM", "Ollama"],
)
def test_biases_go_by_id_or_text_as_the_server_knows_tokens(server: Server, bias: object, ignored: list[str]) -> None:
    fields, unknown = sampling_fields(BIASED, server)
    assert fields.get("logit_bias") == bias
    assert [name for name in unknown if name in ("logit_bias", "ban")] == ignored


SCHEMA = {"type": "object"}


@pytest.mark.parametrize(
    ("server", "params", "fields"),
    [
        (
            OTHER,
            SamplingParams(json_schema='{"type": "object"}'),
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "reply", "schema": SCHEMA, "strict": True},
                }
            },
        ),
        (OLLAMA, SamplingParams(json_schema='{"type": "object"}'), {"format": SCHEMA}),
        (VLLM, SamplingParams(regex="a+"), {"structured_outputs": {"regex": "a+"}}),
        (SGLANG, SamplingParams(regex="a+"), {"regex": "a+"}),
        (LLAMA_SERVER, SamplingParams(grammar='root ::= "a"'), {"grammar": 'root ::= "a"'}),
    ],
    ids=["schema", "schema (Ollama)", "regex (vLLM)", "regex (SGLang)", "grammar (llama-server)"],
)
def test_a_constraint_goes_where_the_server_looks_for_it(
    server: Server, params: SamplingParams, fields: dict[str, Any]
) -> None:
    found, _ = sampling_fields(params, server)
    assert {name: found[name] for name in fields} == fields


@pytest.mark.parametrize("name", ["regex", "lark", "grammar"])
def test_a_constraint_that_the_server_does_not_take_is_an_error(name: str) -> None:
    with pytest.raises(GenerationError, match=f"OpenAI API takes no `{name}`"):
        sampling_fields(SamplingParams(**{name: "x"}), OTHER)


@pytest.mark.parametrize(
    ("host", "model", "owner", "server"),
    [
        ("h", "m", "llamacpp", LLAMA_SERVER),
        ("h", "m", "vllm", VLLM),
        ("h", "m", "sglang", SGLANG),
        ("h", "llama3.2:latest", "library", OLLAMA),
        ("h", "m", "organization_owner", LM_STUDIO),
        ("h", "org/m", "org/m", TGI),
        ("openrouter.ai", "m", "", OPENROUTER),
        ("api.openai.com", "gpt", "system", OPENAI),
        ("h", "m", "somebody", OTHER),
        ("h", "", "", OTHER),
    ],
)
def test_a_server_is_known_by_what_it_says(host: str, model: str, owner: str, server: Server) -> None:
    assert server_of(host, model, owner) is server
