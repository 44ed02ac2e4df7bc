"""Whether this terminal can show the chat at all, and in colours. Asked before anything heavy is imported."""

from __future__ import annotations

import os
import sys


def wants_no_color() -> bool:
    """Whether NO_COLOR is set to something: empty it means nothing (no-color.org)."""
    return bool(os.environ.get("NO_COLOR"))


def unsupported_reason() -> str:
    """Returns why the chat cannot be shown here, in words; empty when it can."""
    streams = (sys.__stdin__, sys.__stdout__, sys.__stderr__)
    if not all(stream is not None and stream.isatty() for stream in streams):
        return "the chat needs a terminal"
    term = os.environ.get("TERM", "")
    if term in {"", "dumb", "unknown"}:
        return f"the chat cannot be drawn on this terminal (TERM={term or 'unset'})"
    return ""
