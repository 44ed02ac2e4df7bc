"""Judges the grammar and the JSON Schema of a preset as far as that goes without an engine.

What a schema becomes, and the tokens that a grammar names, only the engine can tell.
"""

from __future__ import annotations

import json
from typing import Any

from app.config.document import Document
from app.config.locator import Path
from app.domain.gbnf import Gbnf, GbnfError

OTHER = {"grammar": "json_schema", "json_schema": "grammar"}
"""What is given of the two takes the other one away that a preset, or its base, has."""


def checked_constraints(document: Document, at: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Returns `values`, the sampling fields of the table at `at`, without what is wrong; that is reported."""
    good = dict(values)
    if all(good.get(name) is not None for name in OTHER):
        words = "`grammar` and `json_schema` exclude each other: a schema becomes a grammar of its own"
        document.report((*at, "json_schema"), words)
        del good["json_schema"]
    for name, judge in (("grammar", _wrong_grammar), ("json_schema", _wrong_schema)):
        if isinstance(text := good.get(name), str) and (what := judge(text)):
            document.report((*at, name), f"`{name}` {what}")
            del good[name]
    given = [name for name in OTHER if good.get(name) is not None]
    return dict.fromkeys((OTHER[name] for name in given), None) | good


def _wrong_grammar(text: str) -> str:
    try:
        Gbnf(text).check_recursion()
    except GbnfError as error:
        return f"is wrong{error}"
    return ""


def _wrong_schema(text: str) -> str:
    try:
        schema: object = json.loads(text)
    except json.JSONDecodeError as error:
        return f"is not JSON: line {error.lineno}, column {error.colno}: {error.msg}"
    except (RecursionError, ValueError) as error:
        return f"is not JSON that can be read: {error}"
    return "" if isinstance(schema, dict) else 'must be a JSON object, as in {"type": "array"}'
