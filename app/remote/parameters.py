"""Sampling parameters of the app in the words of a server. Pure.

What a server does not take and would change the reply is listed, never left out in silence; a constraint that it does
not take is an error, since the reply would have any form.
"""

from __future__ import annotations

import json
from typing import Any

from app.domain.errors import GenerationError
from app.domain.sampling import CANONICAL, SamplingParams, Stage
from app.remote.servers import Server

_OFF: dict[str, object] = {
    "temperature": 1.0,
    "top_k": 0,
    "top_p": 1.0,
    "min_p": 0.0,
    "typical_p": 1.0,
    "top_n_sigma": -1.0,
    "xtc_probability": 0.0,
    "repeat_penalty": 1.0,
    "frequency_penalty": 0.0,
    "presence_penalty": 0.0,
    "dry_multiplier": 0.0,
    "dynatemp_range": 0.0,
    "adaptive_target": -1.0,
    "mirostat": 0,
    "samplers": CANONICAL,
}
"""Values that do nothing."""

_PART_OF = {
    "xtc_threshold": ("xtc_probability",),
    "penalty_last_n": ("repeat_penalty", "frequency_penalty", "presence_penalty"),
    "dry_base": ("dry_multiplier",),
    "dry_allowed_length": ("dry_multiplier",),
    "dry_penalty_last_n": ("dry_multiplier",),
    "dry_sequence_breakers": ("dry_multiplier",),
    "dynatemp_exponent": ("dynatemp_range",),
    "adaptive_decay": ("adaptive_target",),
    "mirostat_tau": ("mirostat",),
    "mirostat_eta": ("mirostat",),
}
"""Fields that matter only where one of others does something."""

_STAGES: dict[str, Stage] = {
    "temperature": "temperature",
    "top_k": "top-k",
    "top_p": "top-p",
    "min_p": "min-p",
    "typical_p": "typical",
    "top_n_sigma": "top-n-sigma",
    "xtc_probability": "xtc",
    "repeat_penalty": "penalties",
    "frequency_penalty": "penalties",
    "presence_penalty": "penalties",
    "dry_multiplier": "dry",
}
_LLAMA_STAGES = {"typical": "typ_p"}
"""llama-server's names of stages where they are not ours with `_` for `-`."""

_BAN = -100.0


def sampling_fields(params: SamplingParams, server: Server) -> tuple[dict[str, Any], list[str]]:
    """Returns the fields of a request, and the names of ours that have no effect on this server.

    A stage that does not run is sent as one that does nothing, since servers have defaults of their own.
    Raises GenerationError for a constraint that the server cannot hold a reply to.
    """
    fields: dict[str, Any] = {}
    ignored: list[str] = []
    values = {name: _value(params, name) for name in _OFF}
    active = {name for name, value in values.items() if not _is_off(name, value)}
    for name, value in values.items():
        if name not in server.sampling:
            ignored += [name] if name in active else []
        elif name in active or not server.omits_off:
            fields[server.sampling[name]] = _llama_stages(params) if name == "samplers" else value
    for name, owners in _PART_OF.items():
        if name in server.sampling and active.intersection(owners):
            fields[server.sampling[name]] = getattr(params, name)
    if params.stop:
        fields["stop"] = list(params.stop)
    ignored += [name for name in ("ban_text", "force", "exact", "lora", "thinking") if getattr(params, name)]
    fields |= _biases(params, server, ignored) | _constraint(params, server)
    return fields, ignored


def _value(params: SamplingParams, name: str) -> Any:  # noqa: ANN401 -- a field of any type
    runs = name not in _STAGES or _STAGES[name] in params.samplers
    return getattr(params, name) if runs else _OFF[name]


def _is_off(name: str, value: Any) -> bool:  # noqa: ANN401 -- a field of any type
    if name == "top_n_sigma":
        return value <= 0
    return value < 0 if name == "adaptive_target" else value == _OFF[name]


def _llama_stages(params: SamplingParams) -> list[str]:
    named = [stage for stage in params.samplers if stage != "logit-bias"]
    return [_LLAMA_STAGES.get(stage, stage.replace("-", "_")) for stage in named]


def _biases(params: SamplingParams, server: Server, ignored: list[str]) -> dict[str, Any]:
    """Biases by token; `ignored` gets the fields that name tokens in a way that the server does not know."""
    found: list[tuple[int | str, float]] = []
    for field, biases in (("logit_bias", params.logit_bias), ("ban", dict.fromkeys(params.ban, _BAN))):
        for name, value in biases.items():
            token = int(name[1:]) if name.startswith("#") and name[1:].isdigit() else name
            if server.bias == "any" or (server.bias and isinstance(token, int)):
                found.append((token, value))
            elif field not in ignored:
                ignored.append(field)
    if not found:
        return {}
    return {"logit_bias": found if server.bias == "any" else {str(token): value for token, value in found}}


def _constraint(params: SamplingParams, server: Server) -> dict[str, Any]:
    if params.json_schema is not None and server.schema:
        schema = _schema(params.json_schema)
        if server.schema == "format":
            return {"format": schema}
        named = {"name": "reply", "schema": schema, "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": named}}
    for name, place in (("regex", server.regex), ("grammar", server.grammar)):
        value = getattr(params, name)
        if value is not None and place:
            return _nested(place.split("."), value)
    for name in ("json_schema", "regex", "lark", "grammar"):
        if getattr(params, name) is not None:
            raise GenerationError(f"{server.title} takes no `{name}`", "Leave it out, or use a local model.")
    return {}


def _schema(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise GenerationError(f"`json_schema` is no JSON: {error}") from None


def _nested(path: list[str], value: str) -> dict[str, Any]:
    return {path[0]: _nested(path[1:], value) if len(path) > 1 else value}
