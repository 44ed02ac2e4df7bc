"""One reply of each kind of server as it sends it, with its oddities; written by hand after their sources and docs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ServerStream:
    """What a server lists, and the body of one streamed reply that says "Hé!"."""

    listed: dict[str, Any]
    body: bytes


def _sse(*objects: Any, end: str = "\n\n", done: bool = True) -> bytes:
    lines = [f"data: {json.dumps(each, ensure_ascii=False)}" for each in objects] + ["data: [DONE]"] * done
    return "".join(line + end for line in lines).encode()


def _choice(delta: Any, finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish, **more}]}


def _logprobs(*pieces: str, **more: Any) -> dict[str, Any]:
    entries = [
        {
            "token": piece,
            "logprob": -0.1,
            "bytes": list(piece.encode()),
            "top_logprobs": [
                {"token": piece, "logprob": -0.1, "bytes": list(piece.encode())},
                {"token": "x", "logprob": -2.5, "bytes": [120]},
            ],
            **more,
        }
        for piece in pieces
    ]
    return {"content": entries}


def _usage(n_generated: int, cached: int | None = None) -> dict[str, Any]:
    details = {} if cached is None else {"prompt_tokens_details": {"cached_tokens": cached}}
    return {
        "usage": {"prompt_tokens": 20, "completion_tokens": n_generated, "total_tokens": 20 + n_generated, **details}
    }


_TIMINGS = {
    **{"cache_n": 8, "prompt_n": 12, "prompt_ms": 24.0, "prompt_per_token_ms": 2.0, "prompt_per_second": 500.0},
    **{"predicted_n": 3, "predicted_ms": 20.0, "predicted_per_token_ms": 10.0, "predicted_per_second": 100.0},
}

STREAMS: dict[str, ServerStream] = {
    "llama-server": ServerStream(
        {"id": "m.gguf", "owned_by": "llamacpp", "meta": {"n_ctx": 4096, "n_vocab": 49152}},
        _sse(
            _choice({"role": "assistant", "content": None}),
            _choice({}) | {"prompt_progress": {"total": 20, "cache": 8, "processed": 14, "time_ms": 12}},
            _choice({"reasoning_content": "hm"}) | {"timings": _TIMINGS | {"predicted_n": 1}},
            _choice({"content": "Hé"}, logprobs=_logprobs("Hé", id=5)) | {"timings": _TIMINGS | {"predicted_n": 2}},
            _choice({"content": "!"}, logprobs=_logprobs("!", id=6)) | {"timings": _TIMINGS},
            _choice({}, "stop"),
            {"choices": [], **_usage(3, 8), "timings": _TIMINGS},
        ),
    ),
    "vLLM": ServerStream(
        {"id": "m", "owned_by": "vllm", "max_model_len": 4096},
        _sse(
            _choice({"role": "assistant", "content": ""}) | _usage(0),
            _choice({"reasoning": "hm"}) | _usage(1),
            _choice({"content": "Hé"}, logprobs=_logprobs("Hé")) | _usage(2),
            _choice({"content": "!"}, "stop", logprobs=_logprobs("!"), stop_reason="END") | _usage(3),
            {"choices": [], **_usage(3, 8)},
        ),
    ),
    "SGLang": ServerStream(
        {"id": "m", "owned_by": "sglang", "max_model_len": 4096},
        _sse(
            _choice({"role": "assistant", "content": "", "reasoning_content": None}),
            _choice({"content": None, "reasoning_content": "hm"}) | _usage(1),
            _choice({"content": "Hé", "reasoning_content": None}, logprobs=_logprobs("Hé")) | _usage(2),
            _choice({"content": "!", "reasoning_content": None}, logprobs=_logprobs("!")) | _usage(3),
            _choice({}, "stop", matched_stop=2),
            {"choices": [], **_usage(3, 8)},
        ),
    ),
    "TGI": ServerStream(
        {"id": "org/m", "owned_by": "org/m"},
        # Events end in one blank line without a space behind the colon, and the first character may be split.
        b"".join(
            f"data:{json.dumps(each)}\n\n".encode()
            for each in (
                _choice({"role": "assistant", "content": "H\u00e9"}, logprobs=_logprobs("Hé")),
                _choice({"role": "assistant", "content": "!"}, "stop", logprobs=_logprobs("!")),
                {"choices": [], **_usage(3)},
            )
        )
        + b"data: [DONE]\n\n",
    ),
    "Ollama": ServerStream(
        {"id": "m:latest", "owned_by": "library"},
        "".join(
            json.dumps(each) + "\n"
            for each in (
                {"message": {"role": "assistant", "content": "", "thinking": "hm"}, "done": False},
                {"message": {"content": "H\u00e9"}, "done": False, "logprobs": _logprobs("Hé")["content"]},
                {"message": {"content": "!"}, "done": False, "logprobs": _logprobs("!")["content"]},
                {
                    **{"message": {"content": ""}, "done": True, "done_reason": "stop"},
                    **{"total_duration": 90_000_000, "load_duration": 2_000_000},
                    **{"prompt_eval_count": 20, "prompt_eval_duration": 24_000_000},
                    **{"eval_count": 3, "eval_duration": 20_000_000},
                },
            )
        ).encode(),
    ),
    "LM Studio": ServerStream(
        {"id": "m", "owned_by": "organization_owner"},
        _sse(
            _choice({"role": "assistant", "reasoning_content": "hm"}),
            _choice({"role": "assistant", "content": "Hé"}) | {"system_fingerprint": "m"},
            _choice({"role": "assistant", "content": "!"}),
            _choice({}, "stop"),
            {"choices": [], **_usage(3)},
        ),
    ),
    "OpenRouter": ServerStream(
        {"id": "x/m", "context_length": 4096},
        b": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n"
        + _sse(
            _choice({"role": "assistant", "content": "", "reasoning": "hm", "reasoning_details": [{"text": "hm"}]}),
            _choice({"content": "Hé", "reasoning": None}, logprobs=_logprobs("Hé"), native_finish_reason=None),
            _choice({"content": "!", "reasoning": None}, "stop", logprobs=_logprobs("!"), native_finish_reason="STOP"),
            {"choices": [{"delta": {"content": ""}, "finish_reason": None}], **_usage(3, 8)},
        ),
    ),
    "llama-cpp-python": ServerStream(
        {"id": "m", "owned_by": "me", "permissions": []},
        _sse(
            _choice({"role": "assistant"}),
            _choice({"content": "Hé"}, logprobs=_logprobs("Hé")),
            _choice({"content": "!"}, logprobs=_logprobs("!")),
            _choice({}, "stop"),
            end="\r\n\r\n",
        ),
    ),
    "OpenAI": ServerStream(
        {"id": "gpt", "owned_by": "system"},
        _sse(
            _choice({"role": "assistant", "content": "", "refusal": None}) | {"usage": None},
            _choice({"content": "Hé"}, logprobs=_logprobs("Hé") | {"refusal": None}) | {"usage": None},
            _choice({"content": "!"}, logprobs=_logprobs("!")) | {"usage": None},
            _choice({}, "stop", logprobs=None) | {"usage": None},
            {"choices": [], **_usage(3, 8)},
        ),
    ),
    "another": ServerStream(
        {"id": "m"}, _sse(_choice({"content": "Hé"}), _choice({"content": "!"}, "stop"), done=False)
    ),
}
