"""Whole turns are left out, oldest first, and as few builds as a binary search needs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from app.domain.conversation import Role
from app.domain.generation import PromptSpans
from app.engine.requests.prompting import fit
from app.engine.text.prompt import Prompt
from app.protocol.commands import ChatMessage

SYSTEM = ChatMessage(Role.SYSTEM, "s" * 10)


def turns(n: int, size: int = 5) -> list[ChatMessage]:
    return [ChatMessage(role, str(i % 10) * size) for i in range(n) for role in (Role.USER, Role.ASSISTANT)]


class Builder:
    """One token a character."""

    def __init__(self) -> None:
        self.n_builds = 0

    def __call__(self, messages: Sequence[ChatMessage]) -> Prompt:
        self.n_builds += 1
        return Prompt([ord(c) for m in messages for c in m.content], PromptSpans())


def text(prompt: Prompt) -> str:
    return "".join(map(chr, prompt.ids))


def last(content: str = "last") -> ChatMessage:
    return ChatMessage(Role.USER, content)


def test_what_fits_is_left_alone() -> None:
    build = Builder()
    fitted = fit(build, [SYSTEM, *turns(4), last()], 100, None)
    assert (fitted.n_messages, fitted.n_tokens, len(fitted.prompt.ids)) == (0, 0, 54)
    assert build.n_builds == 1


def test_oldest_turns_go_and_system_prompt_and_last_message_stay() -> None:
    # 10 + 8 turns of 10 + 4 = 94 tokens; a reserve of 25 leaves 75: 19 must go, in strides of 25, so 3 turns go.
    fitted = fit(Builder(), [SYSTEM, *turns(8), last()], 100, None)
    assert text(fitted.prompt) == "s" * 10 + "".join(str(i) * 10 for i in range(3, 8)) + "last"
    assert (fitted.n_messages, fitted.n_tokens) == (6, 30)


def test_the_reserve_is_never_more_than_the_reply_may_have() -> None:
    assert fit(Builder(), [SYSTEM, *turns(8), last()], 100, 6).n_messages == 0
    assert fit(Builder(), [SYSTEM, *turns(8), last()], 100, 7).n_messages == 6


def test_the_same_turns_stay_dropped_while_the_conversation_grows() -> None:
    """Else every message would shift the prompt and nothing of the cache could be used again."""
    starts = [fit(Builder(), [SYSTEM, *turns(n), last()], 400, None).n_messages for n in range(28, 50)]
    assert starts[0] == 0
    assert len(set(starts)) == 4  # 0 and three strides in 22 turns
    assert starts == sorted(starts)


@pytest.mark.parametrize("n_turns", [20, 1000])
def test_builds_are_few(n_turns: int) -> None:
    build = Builder()
    fitted = fit(build, [SYSTEM, *turns(n_turns), last()], 100, None)
    assert len(fitted.prompt.ids) <= 75
    assert build.n_builds <= 2 + n_turns.bit_length()


def test_where_the_last_message_alone_is_too_long_its_figure_is_kept() -> None:
    fitted = fit(Builder(), [SYSTEM, *turns(3), last("x" * 200)], 100, None)
    assert len(fitted.prompt.ids) == 210
    assert fit(Builder(), [SYSTEM, last("x" * 200)], 100, None).n_messages == 0


def test_without_system_prompt_and_with_a_lone_reply_first() -> None:
    messages = [ChatMessage(Role.ASSISTANT, "hello"), *turns(9), last()]
    fitted = fit(Builder(), messages, 100, None)
    assert fitted.n_messages == 5  # the greeting and two turns
    assert text(fitted.prompt).startswith("2")
