from typing import Any

import pytest

from app.domain.generation import Stop
from app.remote.chunks import Chunk, LikelyToken, PromptProgress, ServerTimes, ServerUsage, error_text, read_chunk
from app.remote.errors import StreamError


def choice(delta: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta or {}, **more}]}


CHUNKS: dict[str, tuple[dict[str, Any], Chunk]] = {
    "text": (choice({"content": "hi"}, finish_reason=None), Chunk("hi")),
    "role first (OpenAI)": (choice({"role": "assistant", "content": ""}), Chunk()),
    "null content (llama-server)": (choice({"role": "assistant", "content": None}), Chunk()),
    "no delta": ({"choices": [{"index": 0}]}, Chunk()),
    "null delta": ({"choices": [{"delta": None}]}, Chunk()),
    "no choices": ({"choices": []}, Chunk()),
    "null choices": ({"choices": None}, Chunk()),
    "half a surrogate pair": (choice({"content": "a\ud800b"}), Chunk("a\ufffdb")),
    "a surrogate pair": (choice({"content": "\ud83d\ude00"}), Chunk("\U0001f600")),
    "content of another type": (choice({"content": [{"type": "text"}]}), Chunk()),
    "the whole reply at once": (
        {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]},
        Chunk("hi", finish="stop"),
    ),
    "a text completion": ({"choices": [{"text": "hi"}]}, Chunk("hi")),
    "thinking (vLLM before 0.12, SGLang, llama-server)": (choice({"reasoning_content": "hm"}), Chunk(thinking="hm")),
    "thinking (vLLM, OpenRouter)": (choice({"content": "", "reasoning": "hm"}), Chunk(thinking="hm")),
    "null thinking": (choice({"content": "hi", "reasoning": None}), Chunk("hi")),
    "stop string (vLLM)": (
        choice(finish_reason="stop", stop_reason="END"),
        Chunk(finish="stop", stop=Stop("string", "END")),
    ),
    "stop token (vLLM)": (choice(finish_reason="stop", stop_reason=2), Chunk(finish="stop", stop=Stop("eog", "", 2))),
    "end of turn (vLLM)": (choice(finish_reason="stop", stop_reason=None), Chunk(finish="stop")),
    "stop token (SGLang)": (
        choice(finish_reason="stop", matched_stop=7),
        Chunk(finish="stop", stop=Stop("eog", "", 7)),
    ),
    "usage alone": (
        {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}},
        Chunk(usage=ServerUsage(9, None, 4)),
    ),
    "cached tokens (vLLM)": (
        {"usage": {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 8}}},
        Chunk(usage=ServerUsage(9, 8, 4)),
    ),
    "null usage": (choice({"content": "a"}) | {"usage": None}, Chunk("a")),
    "null details": ({"usage": {"prompt_tokens": 9, "prompt_tokens_details": None}}, Chunk(usage=ServerUsage(9))),
    "times (llama-server)": (
        {
            "timings": {
                **{"cache_n": 41, "prompt_n": 1, "prompt_ms": 9.5, "prompt_per_second": 105.0},
                **{"predicted_n": 8, "predicted_ms": 54.0, "predicted_per_second": 148.0},
                **{"draft_n": 6, "draft_n_accepted": 5},
            }
        },
        Chunk(usage=ServerUsage(42, 41, 8), times=ServerTimes(None, 9.5, 54.0, 105.0, 148.0, 6, 5)),
    ),
    "numbers that are none": (
        {"timings": {"prompt_ms": "9", "predicted_ms": float("nan"), "prompt_n": -1, "predicted_n": True}},
        Chunk(),
    ),
    "progress (llama-server)": (
        {"prompt_progress": {"total": 42, "cache": 10, "processed": 20, "time_ms": 5}},
        Chunk(progress=PromptProgress(42, 10, 20, 5)),
    ),
    "half a progress": ({"prompt_progress": {"total": 42}}, Chunk()),
    "text (Ollama)": ({"message": {"role": "assistant", "content": "hi"}, "done": False}, Chunk("hi")),
    "thinking (Ollama)": ({"message": {"content": "", "thinking": "hm"}, "done": False}, Chunk(thinking="hm")),
    "end (Ollama)": (
        {
            **{"message": {"content": ""}, "done": True, "done_reason": "length", "load_duration": 2_000_000},
            **{"prompt_eval_count": 10, "prompt_eval_duration": 5_000_000},
            **{"eval_count": 20, "eval_duration": 40_000_000},
        },
        Chunk(
            finish="length",
            usage=ServerUsage(10, None, 20),
            times=ServerTimes(2.0, 5.0, 40.0, 2000.0, 500.0),
        ),
    ),
    "end without a reason (older Ollama)": ({"message": {}, "done": True}, Chunk(finish="stop")),
}


@pytest.mark.parametrize(("values", "chunk"), CHUNKS.values(), ids=CHUNKS)
def test_a_chunk_is_read(values: dict[str, Any], chunk: Chunk) -> None:
    assert read_chunk(values) == chunk


ENTRY = {"token": " a", "logprob": -0.5, "bytes": [32, 97]}
TOKENS: dict[str, tuple[dict[str, Any], list[LikelyToken]]] = {
    "with bytes": (ENTRY, [LikelyToken(" a", -0.5, b" a")]),
    "without bytes": ({"token": "é", "logprob": -1}, [LikelyToken("é", -1.0, "é".encode())]),
    "null bytes": ({"token": "a", "logprob": -1, "bytes": None}, [LikelyToken("a", -1.0, b"a")]),
    "bytes that are none": ({"token": "a", "logprob": -1, "bytes": [300]}, [LikelyToken("a", -1.0, b"a")]),
    "half a character": ({"token": "", "logprob": -1, "bytes": [0xC3]}, [LikelyToken("", -1.0, b"\xc3")]),
    "with an id (llama-server)": (ENTRY | {"id": 5}, [LikelyToken(" a", -0.5, b" a", 5)]),
    "no log-probability": ({"token": "a", "logprob": None}, []),
    "alternatives, best first": (
        ENTRY | {"top_logprobs": [{"token": "b", "logprob": -2}, {"token": " a", "logprob": -0.5}]},
        [LikelyToken(" a", -0.5, b" a", None, (LikelyToken(" a", -0.5, b" a"), LikelyToken("b", -2.0, b"b")))],
    ),
    "null alternatives": (ENTRY | {"top_logprobs": None}, [LikelyToken(" a", -0.5, b" a")]),
}


@pytest.mark.parametrize(("entry", "tokens"), TOKENS.values(), ids=TOKENS)
def test_log_probabilities_are_read(entry: dict[str, Any], tokens: list[LikelyToken]) -> None:
    assert list(read_chunk(choice({"content": "a"}, logprobs={"content": [entry]})).tokens) == tokens
    assert list(read_chunk({"message": {"content": "a"}, "logprobs": [entry]}).tokens) == tokens


ERRORS: dict[str, tuple[dict[str, Any], str]] = {
    "OpenAI": ({"error": {"message": "no", "type": "server_error"}}, "no"),
    "words": ({"error": "no"}, "no"),
    "no message": ({"error": {"code": 500}}, "{'code': 500}"),
    "FastAPI (SGLang, llama-cpp-python)": ({"detail": "no"}, "no"),
    "OpenRouter": ({"error": {"message": "Provider error", "metadata": {"raw": "busy"}}}, "Provider error: busy"),
    "an escape of a terminal": ({"error": "\x1b[2J"}, "\u241b[2J"),
}


@pytest.mark.parametrize(("values", "text"), ERRORS.values(), ids=ERRORS)
def test_an_error_is_said_in_one_line(values: dict[str, Any], text: str) -> None:
    assert error_text(values) == text


@pytest.mark.parametrize(
    "values",
    [
        {"error": {"message": "out of memory"}},
        {"error": {"message": "out of memory"}, "choices": [{"delta": {"content": ""}, "finish_reason": "error"}]},
        {"choices": [{"delta": {}, "error": {"message": "out of memory"}}]},
    ],
    ids=["alone", "beside choices (OpenRouter)", "in a choice"],
)
def test_an_error_in_a_stream_ends_it(values: dict[str, Any]) -> None:
    with pytest.raises(StreamError, match="the server reports an error: out of memory"):
        read_chunk(values)


def test_a_null_error_is_none() -> None:
    assert read_chunk(choice({"content": "a"}) | {"error": None}) == Chunk("a")
