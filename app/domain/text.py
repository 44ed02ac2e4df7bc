"""The one gate for hostile text: what a sink (widget, title, notification, terminal) may be given.

Control characters and bidirectional overrides become visible pictures; nothing is dropped silently. It works per
code point, so a stream can be cleaned piece by piece.
"""

from __future__ import annotations


def _table() -> dict[int, str]:
    shown = {c: chr(0x2400 + c) for c in range(0x20) if c not in (0x09, 0x0A)}
    shown[0x7F] = "\u2421"
    hidden = [*range(0x80, 0xA0), 0x061C, 0x200E, 0x200F, 0x2028, 0x2029]
    hidden += [*range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xE0000, 0xE0080)]
    shown |= {c: f"\u27e8U+{c:04X}\u27e9" for c in hidden}
    shown |= {c: "\ufffd" for c in range(0xD800, 0xE000)}
    return shown


_TABLE = _table()
_LINE_ENDS = str.maketrans({"\n": "↵", "\t": "⇥"})


def safe_text(text: str) -> str:
    """Returns `text` with every control, C1, bidi and lone surrogate code point made visible; tab and newline stay."""
    return text.translate(_TABLE)


def one_line(text: str, limit: int = 200) -> str:
    """Returns `text` made safe, on one line and at most `limit` characters, for titles, rows and notices."""
    flat = " ".join(safe_text(text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "\u2026"


def quoted(text: str, limit: int = 24) -> str:
    """Returns a token's text safe, between quotes that show its blanks, and at most `limit` characters of it."""
    shown = safe_text(text).translate(_LINE_ENDS)
    return f'"{shown}"' if len(shown) <= limit else f'"{shown[: limit - 1]}…"'
