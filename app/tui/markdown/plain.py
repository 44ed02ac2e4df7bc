"""Recognises a paragraph without any markup, which needs no parser at all."""

from __future__ import annotations

import re

# A line that begins with a letter starts no other block and continues the paragraph; the rest has no inline markup.
_PLAIN = re.compile(r"(?:[^\W\d_][^\n\t\\`*_<~]*\n)*[^\W\d_][^\n\t\\`*_<~]*\n?\Z")


def is_plain_paragraph(text: str) -> bool:
    """True if `text` is one paragraph (so far) that Markdown shows as it stands."""
    return _PLAIN.match(text) is not None and "](" not in text
