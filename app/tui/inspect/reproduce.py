"""The command that writes a reply again: `tok ask` for the first of a conversation, `tok batch` for one after others.

It names every value itself, over the preset `plain`, so that it does not depend on anybody's configuration. Pure.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any, cast

from msgspec.structs import replace

from app.config.presets import SHIPPED_PRESETS
from app.domain.conversation import ChatSettings, Message, Role
from app.domain.sampling import SamplingParams
from app.domain.trace import Origin, ReplyTrace

_BASE = SHIPPED_PRESETS["plain"]
_NAMES = {"json_schema": "schema", "logit_bias": "bias", "dry_sequence_breakers": "dry-breaker"}
_FILES = ("json_schema", "grammar")
"""Fields whose option takes a file."""


def command_of(before: Sequence[Message], trace: ReplyTrace, settings: ChatSettings) -> tuple[str, str]:
    """Returns the command, or else an empty one and why there is none.

    Args:
        before: the branch up to the reply.
        trace: the reply's.
        settings: of the conversation: its model and system prompt.
    """
    if trace.n_kept:
        return "", "it goes on from another reply's tokens; `tok export trace` keeps it"
    if any(token.origin is Origin.FORCED for token in trace.tokens) and not trace.sampling.force:
        return "", "tokens were put in by hand; `tok export trace` keeps it"
    if trace.sampling.lark:
        return "", "it follows a grammar in Lark, which has to stand in a file"
    if not before or before[-1].role is not Role.USER:
        return "", "the message that it answers is not known"
    sampling = replace(trace.sampling, seed=trace.seed, exact=True)
    changed = {
        name: value
        for name in SamplingParams.__struct_fields__
        if (value := getattr(sampling, name)) != getattr(_BASE.sampling, name)
    }
    system, model = settings.effective.system, ("-m", settings.model) if settings.model else ()
    if len(before) > 1:
        said = [{"role": "system", "content": system}] if system else []
        said += [{"role": message.role.value, "content": message.content} for message in before]
        line = json.dumps({"messages": said, **changed}, ensure_ascii=False)
        return f"printf '%s\\n' {shlex.quote(line)} | {shlex.join(['tok', 'batch', '-', '-o', '-', *_base(model)])}", ""
    words = ["tok", "ask", *_base(model), *(("-s", system) if system else ())]
    options = " ".join(_option(name, value) for name, value in changed.items())
    return f"{shlex.join(words)} {options} -- {shlex.quote(before[-1].content)}", ""


def _base(model: Sequence[str]) -> list[str]:
    return ["-p", _BASE.name, *model]


def _option(name: str, value: object) -> str:
    flag = f"--{_NAMES.get(name, name).replace('_', '-')}"
    if isinstance(value, bool):
        return flag
    if name in _FILES:
        return f"{flag} <(printf %s {shlex.quote(str(value))})"
    if name == "samplers":
        return f"{flag} {shlex.quote(','.join(cast('tuple[str, ...]', value)))}"
    if isinstance(value, tuple):
        return " ".join(f"{flag} {shlex.quote(str(each))}" for each in cast("tuple[object, ...]", value))
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value).items()
        return " ".join(f"{flag} {shlex.quote(f'{key}={json.dumps(each)}')}" for key, each in pairs)
    return f"{flag} {shlex.quote(f'{value:g}' if isinstance(value, float) else str(value))}"
