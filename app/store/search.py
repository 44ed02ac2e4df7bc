"""From what a person types to a search: every word must be found, in one title or one message.

Words are matched by their beginning through the FTS5 index, quoted so that nothing in them is syntax. Words that its
tokenizer does not cut as people do (scripts without spaces, signs) are matched anywhere, by LIKE.
"""

from __future__ import annotations

import unicodedata

from msgspec import Struct

_UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")


class Search(Struct, frozen=True):
    """A search made ready: `match` for FTS5 (empty: none) and `likes` patterns with the escape sign `\\`."""

    match: str
    likes: tuple[str, ...]


def parse(query: str) -> Search:
    """Never fails, whatever the text."""
    words = query.replace("\0", " ").encode("utf-8", "replace").decode("utf-8").split()
    indexed = [word for word in words if _indexed(word)]
    match = " AND ".join('"' + word.replace('"', '""') + '"*' for word in indexed)
    return Search(match, tuple(f"%{_like_escape(word)}%" for word in words if not _indexed(word)))


def _indexed(word: str) -> bool:
    return word.isalnum() and not any(unicodedata.name(c, "").startswith(_UNSPACED) for c in word)


def _like_escape(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
