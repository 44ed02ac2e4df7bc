"""Makes untrusted text safe for a terminal, widget, title or notification.

Control characters and bidirectional overrides become visible symbols; nothing is dropped. It works per code point, so
a stream can be cleaned piece by piece.
"""

from __future__ import annotations

_MARKS = (0x061C, 0x200E, 0x200F, 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_HIDDEN = (*range(0x80, 0xA0), *_MARKS, *range(0xE0000, 0xE0080))
"""C1 controls, bidirectional marks, line separators, invisible tags."""
_SURROGATES = range(0xD800, 0xE000)


def _table() -> dict[int, str]:
    shown = {c: chr(0x2400 + c) for c in range(0x20) if c not in (0x09, 0x0A)}
    shown[0x7F] = "\u2421"
    shown |= {c: f"\u27e8U+{c:04X}\u27e9" for c in _HIDDEN}
    shown |= {c: "\ufffd" for c in _SURROGATES}
    return shown


def _json_table() -> dict[int, str]:
    return {c: _json_escape(c) for c in (0x7F, *_HIDDEN, *_SURROGATES)}


def _json_escape(code: int) -> str:
    # JSON writes a code point above U+FFFF as its two UTF-16 units.
    units = chr(code).encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))


_TABLE = _table()
_JSON_TABLE = _json_table()
_LINE_ENDS = str.maketrans({"\n": "↵", "\t": "⇥"})


def safe_text(text: str) -> str:
    """Returns `text` with every control, C1, bidi and lone surrogate code point made visible; tab and newline stay."""
    return text.translate(_TABLE)


def safe_json(document: str) -> str:
    """Returns an equivalent JSON document; its strings escape every character that `safe_text` replaces."""
    return document.translate(_JSON_TABLE)


def one_line(text: str, limit: int = 200) -> str:
    """Returns `text` made safe, on one line and at most `limit` characters, for titles, rows and notices."""
    flat = " ".join(safe_text(text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "\u2026"


def quoted(text: str, limit: int = 24) -> str:
    """Returns a token's text, safe and in quotes that show its spaces, cut to `limit` characters."""
    shown = safe_text(text).translate(_LINE_ENDS)
    return f'"{shown}"' if len(shown) <= limit else f'"{shown[: limit - 1]}…"'
