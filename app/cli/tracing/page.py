"""The document as one page for a browser: its own style and script, no network, nothing of the model's as markup.

Texts of models are hostile. They reach the page only as JSON in a data block, in which no `<` stands, and the script
shows them only as text; the page's own policy forbids every other script, style, image and connection.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from importlib import resources

from app.cli.tracing.document import document_of
from app.cli.tracing.stored import TracedMessage
from app.domain.text import safe_text

_ESCAPES = {ord(char): f"\\u{ord(char):04x}" for char in "<>&'"}


def render(title: str, messages: Sequence[TracedMessage]) -> bytes:
    """Returns the whole page."""
    style, script = _part("page.css"), _part("page.js")
    policy = f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'"
    data = json.dumps(document_of(title, messages, safe_text), allow_nan=False).translate(_ESCAPES)
    values = {
        "policy": html.escape(policy, quote=False),
        "title": html.escape(safe_text(title)),
        "style": style,
        "script": script,
        "data": data,
    }
    # Cut at the marks before anything is put in: what is put in may hold a mark.
    first, *rest = _part("page.html").split("{{")
    parts = [first]
    for part in rest:
        name, _, after = part.partition("}}")
        parts += [values[name], after]
    return "".join(parts).encode()


def _part(name: str) -> str:
    return resources.files("app.cli.tracing").joinpath("page_parts", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
