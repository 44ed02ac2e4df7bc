from typing import Any

import pytest

from app.domain.errors import ModelError
from app.domain.remote import RemoteModel
from app.remote.describe import ServedModel, describe
from app.remote.errors import RemoteError
from app.remote.http import ServerConnection
from app.remote.servers import LLAMA_SERVER, OLLAMA, OPENROUTER, OTHER, TGI, VLLM
from tests.fakes.http_server import Answer, FakeServer, as_json


async def described(answers: dict[str, Answer], wanted: str) -> ServedModel:
    async with FakeServer(answers) as server:
        connection = ServerConnection(RemoteModel(url=server.url))
        try:
            return await describe(connection, wanted)
        finally:
            await connection.close()


def listing(*entries: dict[str, Any]) -> Answer:
    return as_json({"object": "list", "data": entries})


async def test_llama_server_says_the_most() -> None:
    meta = {"n_vocab": 49152, "n_ctx": 2048, "n_ctx_train": 8192, "n_params": 135, "size": 90, "ftype": "Q4_1"}
    answers = {
        "/v1/models": listing({"id": "file.gguf", "owned_by": "llamacpp", "meta": meta}),
        "/props": as_json({"total_slots": 2, "build_info": "b1", "default_generation_settings": {"n_ctx": 1024}}),
    }
    assert await described(answers, "any name") == ServedModel(
        server=LLAMA_SERVER,
        name="any name",
        n_ctx=1024,
        n_params=135,
        quant="Q4_1",
        build="b1",
        n_slots=2,
    )


async def test_vllm_says_its_window() -> None:
    found = await described({"/v1/models": listing({"id": "m", "owned_by": "vllm", "max_model_len": 4096})}, "m")
    assert found == ServedModel(server=VLLM, name="m", n_ctx=4096)


async def test_ollama_is_asked_for_more_and_may_leave_the_tag_out() -> None:
    show = {
        "details": {"quantization_level": "Q4_K_M"},
        "model_info": {"general.architecture": "llama", "llama.context_length": 131072, "general.parameter_count": 3},
    }
    answers = {
        "/v1/models": listing({"id": "llama3.2:latest", "owned_by": "library"}),
        "/api/show": as_json(show),
    }
    found = await described(answers, "llama3.2")
    assert found == ServedModel(server=OLLAMA, name="llama3.2", n_params=3, quant="Q4_K_M")
    assert found.n_ctx == 0, "what the model was trained for is not the window in use"


async def test_the_only_model_needs_no_name() -> None:
    found = await described({"/v1/models": listing({"id": "org/m", "owned_by": "org/m"})}, "")
    assert (found.server, found.name) == (TGI, "org/m")


async def test_one_of_several_has_to_be_named() -> None:
    answers = {"/v1/models": listing(*({"id": f"m{n}"} for n in range(7)))}
    with pytest.raises(ModelError, match=r"has several models: m0, m1, m2, m3, m4 and 2 more"):
        await described(answers, "")


async def test_a_name_that_is_not_listed_is_a_notice() -> None:
    found = await described({"/v1/models": listing({"id": "qwen3-8b"}, {"id": "gemma"})}, "qwen3-8")
    assert found.name == "qwen3-8"
    assert found.notices == ("127.0.0.1 does not list the model qwen3-8; it lists qwen3-8b",)


@pytest.mark.parametrize(
    "answer",
    [as_json({}, 404), as_json({"detail": "x"}, 405), as_json([]), as_json({"data": None}), as_json({"data": [3]})],
    ids=["404", "405", "a list", "null", "numbers"],
)
async def test_a_server_without_a_list_is_used_as_it_is(answer: Answer) -> None:
    assert await described({"/v1/models": answer}, "m") == ServedModel(server=OTHER, name="m")


async def test_without_a_list_the_model_has_to_be_named() -> None:
    with pytest.raises(ModelError, match="does not list its models"):
        await described({"/v1/models": as_json({}, 404)}, "")


@pytest.mark.parametrize("status", [401, 403, 500])
async def test_another_refusal_is_an_error(status: int) -> None:
    with pytest.raises(RemoteError):
        await described({"/v1/models": as_json({}, status)}, "m")


async def test_what_is_only_asked_for_more_may_fail() -> None:
    answers = {"/v1/models": listing({"id": "m", "owned_by": "llamacpp"}), "/props": as_json({}, 501)}
    assert (await described(answers, "m")).server is LLAMA_SERVER


async def test_names_of_strangers_are_safe_to_show() -> None:
    with pytest.raises(ModelError) as caught:
        await described({"/v1/models": listing({"id": "a\x1b[2J"}, {"id": "b"})}, "")
    assert "\x1b" not in str(caught.value)


def test_a_host_is_known_by_its_name() -> None:
    connection = ServerConnection(RemoteModel(url="https://openrouter.ai/api/v1"))
    from app.remote.servers import server_of

    assert server_of(connection.host, "x/y", "") is OPENROUTER
