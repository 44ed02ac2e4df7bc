"""Recognises a paragraph without any markup, which needs no parser at all."""

from __future__ import annotations

import re

# A line that begins with a letter starts no other block and continues the paragraph; the rest has no inline markup.
_PLAIN = re.compile(r"(?:[^\W\d_][^\n\t\\`*_\[\]<&~]*\n)*[^\W\d_][^\n\t\\`*_\[\]<&~]*\n?\Z")
_SPACES_AT_END = re.compile(r" *\n")


def is_plain_paragraph(text: str) -> bool:
    """True if `text` is one paragraph (so far) that Markdown shows as it stands."""
    return "  \n" not in text and _PLAIN.match(text) is not None


def join_lines(text: str) -> str:
    """Returns a plain paragraph as one line."""
    return _SPACES_AT_END.sub(" ", text.rstrip("\n")).rstrip(" ") if "\n" in text else text.rstrip(" ")
