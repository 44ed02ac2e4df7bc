"""How a reply can be made again: its command, and the random numbers drawn from its seed."""

from __future__ import annotations

import json
import random
import shlex
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast

from msgspec.structs import replace

from app.config.presets import SHIPPED_PRESETS
from app.domain.conversation import ChatSettings, Message, Role
from app.domain.sampling import SamplingParams
from app.domain.trace import Origin, ReplyTrace, TokenTrace

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
        return "", "it continues another reply's tokens; use `tok export trace`"
    if any(token.origin is Origin.FORCED for token in trace.tokens) and not trace.sampling.force:
        return "", "tokens were forced by hand; use `tok export trace`"
    if trace.sampling.lark:
        return "", "its Lark grammar must be in a file"
    if not before or before[-1].role is not Role.USER:
        return "", "its prompt is unknown"
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


_N_STATE = 624


@lru_cache(maxsize=4)
def draws(seed: int, n: int) -> tuple[float, ...]:
    """Returns the first `n` random numbers of a seed, each in [0, 1)."""
    state = [seed & 0xFFFFFFFF]
    for i in range(1, _N_STATE):
        state.append((1812433253 * (state[-1] ^ (state[-1] >> 30)) + i) & 0xFFFFFFFF)
    twister = random.Random()
    twister.setstate((3, (*state, _N_STATE), None))
    pairs = ((twister.getrandbits(32), twister.getrandbits(32)) for _ in range(n))
    return tuple((low + high * 2.0**32) / 2.0**64 for low, high in pairs)


def draw_of(tokens: Sequence[TokenTrace], at: int, n_kept: int, seed: int) -> float | None:
    """Returns the random number that token `at` of a reply was drawn with; None where none was, or it is not known.

    Args:
        tokens: the reply's.
        n_kept: how many of the first ones were kept of an older reply; nothing was drawn for them.
        seed: of the request. Inside a thinking block with values of its own the chain has the seed behind it.
    """
    shown, before = tokens[at], tokens[n_kept:at]
    alike = [token for token in before if token.thinking == shown.thinking]
    # Where a grammar chose again, two numbers were drawn for one token.
    if at < n_kept or shown.origin is Origin.FORCED or any(token.origin is Origin.GRAMMAR for token in [*alike, shown]):
        return None
    n_before = sum(token.origin is not Origin.FORCED for token in alike)
    n_drawn = 64 * (n_before // 64 + 1)  # in steps, so that moving the cursor draws nothing again
    return draws((seed + 1) % (2**32 - 1) if shown.thinking else seed, n_drawn)[n_before]
