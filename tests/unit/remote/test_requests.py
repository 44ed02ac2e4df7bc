from app.domain.conversation import Role
from app.domain.sampling import SamplingParams
from app.protocol.commands import ChatMessage, Generate
from app.remote.requests import ChatRequest, Target, chat_request, refused_fields
from app.remote.servers import LLAMA_SERVER, LM_STUDIO, OLLAMA, OPENAI, OTHER, TGI, VLLM

MESSAGES = (ChatMessage(Role.SYSTEM, "Be brief."), ChatMessage(Role.USER, "Hi"))
COMMAND = Generate(1, MESSAGES, SamplingParams(max_tokens=9, stop=("END",)), trace_top_k=30)


def test_a_request_has_all_that_was_asked() -> None:
    body = chat_request(COMMAND, Target(OTHER, "m"), 7).body
    assert body["model"] == "m"
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    assert (body["stream"], body["seed"], body["max_tokens"], body["stop"]) == (True, 7, 9, ["END"])
    assert (body["logprobs"], body["top_logprobs"]) == (True, 20)
    assert body["stream_options"] == {"include_usage": True}


def test_earlier_thinking_is_not_sent_back() -> None:
    said = ChatMessage(Role.ASSISTANT, "<think>so</think>yes", answer_at=17)
    body = chat_request(Generate(1, (*MESSAGES, said), SamplingParams()), Target(OTHER, "m"), 7).body
    assert body["messages"][-1] == {"role": "assistant", "content": "yes"}


def test_servers_are_asked_for_what_they_can_report() -> None:
    llama, vllm = (chat_request(COMMAND, Target(server, "m"), 7).body for server in (LLAMA_SERVER, VLLM))
    assert (llama["timings_per_token"], llama["return_progress"], llama["top_logprobs"]) == (True, True, 30)
    assert vllm["stream_options"] == {"include_usage": True, "continuous_usage_stats": True}
    assert chat_request(COMMAND, Target(TGI, "m"), 7).body["top_logprobs"] == 5
    assert "logprobs" not in chat_request(COMMAND, Target(LM_STUDIO, "m"), 7).body
    assert "max_completion_tokens" in chat_request(COMMAND, Target(OPENAI, "m"), 7).body


def test_without_a_trace_no_log_probabilities_are_asked_for() -> None:
    assert (
        "logprobs"
        not in chat_request(Generate(1, MESSAGES, SamplingParams(), trace_top_k=0), Target(OTHER, "m"), 7).body
    )


def test_a_policy_for_a_full_window_has_no_effect_and_is_named() -> None:
    command = Generate(1, MESSAGES, SamplingParams(top_k=0, min_p=0.0), context_policy="drop-oldest-turns")
    assert chat_request(command, Target(VLLM, "m"), 7).ignored == ("context",)


def test_ollama_has_its_own_form() -> None:
    command = Generate(1, MESSAGES, SamplingParams(max_tokens=9, json_schema='{"type": "object"}'), trace_top_k=5)
    request = chat_request(command, Target(OLLAMA, "m"), 7)
    assert request.path == "//api/chat"
    assert request.body["options"]["num_predict"] == 9
    assert request.body["options"]["seed"] == 7
    assert request.body["format"] == {"type": "object"}
    assert (request.body["logprobs"], request.body["top_logprobs"]) == (True, 5)
    assert set(request.body) == {"model", "messages", "stream", "options", "format", "logprobs", "top_logprobs"}


def test_the_window_goes_to_a_server_whose_requests_choose_it() -> None:
    ollama, vllm = (chat_request(COMMAND, Target(server, "m", 8192), 7).body for server in (OLLAMA, VLLM))
    assert ollama["options"]["num_ctx"] == 8192
    assert 8192 not in vllm.values()
    assert "num_ctx" not in chat_request(COMMAND, Target(OLLAMA, "m"), 7).body["options"]


def test_a_field_that_was_refused_is_left_out() -> None:
    assert "seed" not in chat_request(COMMAND, Target(OTHER, "m"), 7, {"seed"}).body
    assert "seed" not in chat_request(COMMAND, Target(OLLAMA, "m"), 7, {"seed"}).body["options"]


def test_a_refusal_names_the_fields_to_leave_out() -> None:
    request = ChatRequest("/x", {"model": "m", "messages": [], "logprobs": True, "top_logprobs": 3, "seed": 1})
    assert refused_fields(request, "Unrecognized request argument supplied: seed") == {"seed"}
    assert refused_fields(request, '{"detail": "logprobs is not supported"}') == {"logprobs", "top_logprobs"}
    assert refused_fields(request, "messages must alternate, model m") == set()
    assert refused_fields(request, "reseeded top_logprobs_2") == set()
    limited = ChatRequest("/x", {"max_tokens": 9, "grammar": "root ::= x"})
    assert refused_fields(limited, "max_tokens is too large, and so is the grammar") == set()
    assert refused_fields(ChatRequest("/x", {"options": {"mirostat": 1}}), "invalid option: mirostat") == {"mirostat"}
