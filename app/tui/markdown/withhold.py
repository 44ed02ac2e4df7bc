"""What of a growing text may be shown: a last line that could still turn into a marker waits for more.

Without this a fence flashes as a lone backtick, a table as a row of pipes, and "-" turns a paragraph into a heading.
"""

from __future__ import annotations

import re

_ONLY_MARKERS = re.compile(r"[ \t]*(?:[-+*_=~`#>|:. \t]+|\d{1,9}[.)]?[ \t]*)\Z")
_FENCE_OR_ROW = re.compile(r"[ \t]*(?:```|~~~|\|)")
_CLOSING = re.compile(r" {0,3}(?:`+|~+)[ \t]*\Z")


def shown_part(text: str, *, in_fence: bool) -> str:
    """Returns `text` without a last line that would flicker; inside a fence `text` is its unfinished line."""
    at = text.rfind("\n") + 1
    if in_fence:
        return "" if _CLOSING.match(text) else text
    if at < len(text) and (_ONLY_MARKERS.match(text, at) or _FENCE_OR_ROW.match(text, at)):
        text = text[:at]
    return _without_header_row(text) if text.endswith("\n") else text


def _without_header_row(text: str) -> str:
    """A first row of pipes is no table before its second row is there."""
    head, _, last = text.removesuffix("\n").rpartition("\n")
    if not last.lstrip().startswith("|"):
        return text
    previous = head.rpartition("\n")[2]
    return text if previous.lstrip().startswith("|") else head + "\n" * bool(head)
