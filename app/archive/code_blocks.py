"""The code blocks of a Markdown text."""

from __future__ import annotations

from markdown_it import MarkdownIt


def code_blocks(text: str) -> list[str]:
    """Returns the text of each fenced or indented block, in order."""
    tokens = MarkdownIt("commonmark").parse(text)
    return [token.content for token in tokens if token.type in ("fence", "code_block")]
