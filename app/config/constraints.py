"""Judges what a preset says of the form of answers, as far as that goes without an engine.

Only the engine can tell what a grammar or a schema really allows, and which of it can be held to.
"""

from __future__ import annotations

import json
from typing import Any

from app.config.document import Document
from app.config.locator import Path
from app.domain.sampling import CONSTRAINTS


def checked_constraints(document: Document, at: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Returns `values`, the sampling fields of the table at `at`, without what is wrong; that is reported.

    One of them takes those of the preset's base away.
    """
    good = dict(values)
    first, *others = [name for name in CONSTRAINTS if good.get(name) is not None] or [""]
    for name in others:
        document.report((*at, name), f"`{first}` and `{name}` exclude each other: an answer has one form")
        del good[name]
    if first and (what := _wrong(first, good[first])):
        document.report((*at, first), f"`{first}` {what}")
        del good[first]
    taken = [name for name in CONSTRAINTS if name != first] if first in good else []
    return dict.fromkeys(taken, None) | good


def _wrong(name: str, text: str) -> str:
    if not text.strip():
        return "is empty"
    if name != "json_schema":
        return ""
    try:
        schema: object = json.loads(text)
    except json.JSONDecodeError as error:
        return f"is not JSON: line {error.lineno}, column {error.colno}: {error.msg}"
    except (RecursionError, ValueError) as error:
        return f"is not JSON that can be read: {error}"
    return "" if isinstance(schema, dict | bool) else 'must be a JSON object, as in {"type": "array"}'
