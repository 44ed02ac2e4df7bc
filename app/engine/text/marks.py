"""Marks that survive a chat template: they show what came from a message, and keep it from becoming control tokens.

The marks are Unicode noncharacters, which no text may hold; `clean` replaces those that come in. GUARD splits the text
of a special token in two. An opening mark and CLOSE stand around the content of a message.
"""

from __future__ import annotations

import re

from app.domain.conversation import Role

GUARD = "\ufdd0"
CLOSE = "\ufdd1"
OPEN = {Role.SYSTEM: "\ufdd2", Role.USER: "\ufdd3", Role.ASSISTANT: "\ufdd4"}

GUARD_BYTES = GUARD.encode()
CLOSE_BYTES = CLOSE.encode()
OPEN_BYTES = {role: mark.encode() for role, mark in OPEN.items()}

_RESERVED = re.compile("[\ufdd0-\ufdef]")
_BORDERS = re.compile("[\ufdd1-\ufdd4]")
_BORDER_BYTES = re.compile(b"\xef\xb7[\x91-\x94]")
_ANY_BYTES = re.compile(b"\xef\xb7[\x90-\x94]")


def clean(text: str) -> str:
    """Replaces everything in `text` that could be taken for a mark (U+FDD0–U+FDEF) and lone surrogates."""
    return _RESERVED.sub("\ufffd", text).encode(errors="replace").decode()


def enclose(role: Role, text: str) -> str:
    """Puts marks around a message's content, inside its outer white space, so that a template can still trim it."""
    core = text.strip()
    if not core:
        return text
    start = text.index(core)
    return f"{text[:start]}{OPEN[role]}{core}{CLOSE}{text[start + len(core) :]}"


def without_borders(text: str) -> str:
    """Removes all marks but GUARD."""
    return _BORDERS.sub("", text)


def without_border_bytes(data: bytes) -> bytes:
    """Removes all marks but GUARD from UTF-8."""
    return _BORDER_BYTES.sub(b"", data)


def without_marks(data: bytes) -> bytes:
    """Removes every mark from UTF-8."""
    return _ANY_BYTES.sub(b"", data)
