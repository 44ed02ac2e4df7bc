"""What the scripted engine makes of a given text: a token a word, ChatML around messages, every figure by place."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from app.domain.conversation import Role
from app.domain.generation import PromptSpans
from app.domain.trace import PromptToken, TokenTrace
from app.protocol.commands import ChatMessage
from app.protocol.events import PromptFit
from tests.fakes.engine_events import make_token
from tests.fakes.scripts import RANKS, pieces

CONTROL = {"<|im_start|>": 1, "<|im_end|>": 2}
N_OPENING = 2
"""Tokens of the opening of a reply."""
_CONTROL = re.compile(r"(<\|im_start\|>|<\|im_end\|>)")


def tokens_of(text: str, parse_special: bool = False) -> tuple[PromptToken, ...]:
    """Word n of a text is token 300 + n; names of control tokens mean these where they are parsed."""
    parts = _CONTROL.split(text) if parse_special else [text]
    found: list[PromptToken] = []
    for part in parts:
        if parse_special and part in CONTROL:
            found.append(PromptToken(CONTROL[part], part, len(part), is_control=True))
        else:
            found += [
                PromptToken(300 + len(found) + n, word, len(word.encode())) for n, word in enumerate(pieces(part))
            ]
    return tuple(found)


def rendered(messages: Sequence[ChatMessage]) -> tuple[PromptToken, ...]:
    """The tokens of messages in ChatML, with the opening of the reply."""
    turns = (f"<|im_start|>{message.role}\n{message.content}<|im_end|>\n" for message in messages)
    return tokens_of("".join(turns) + "<|im_start|>assistant\n", parse_special=True)


def fit_of(messages: Sequence[ChatMessage]) -> PromptFit:
    """How messages fit a window without an end; the last one is this turn."""
    n_system = len(rendered(messages[:1])) - N_OPENING if messages[0].role is Role.SYSTEM else 0
    n_before = len(rendered(messages[:-1])) - N_OPENING
    return PromptFit(PromptSpans(n_system, n_before - n_system, len(rendered(messages)) - n_before))


def scored(text: str, n_top: int) -> list[TokenTrace]:
    """Word n is token 100 + n, with the rank that a reply's token would have; nothing stands before the first."""
    tokens = [make_token(word, n, rank=RANKS[n % len(RANKS)], n_top=n_top) for n, word in enumerate(pieces(text))]
    if tokens:
        tokens[0] = msgspec.structs.replace(tokens[0], p=1.0, logprob=0.0, rank=1, entropy=0.0, top=())
    return tokens
