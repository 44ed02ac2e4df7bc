"""Text that still grows: an open fence, a last line that may become a marker, a paragraph without markup."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

# A line that begins with a letter starts no other block and continues the paragraph; the rest has no inline markup.
_PLAIN = re.compile(r"(?:[^\W\d_][^\n\t\\`*_<~]*\n)*[^\W\d_][^\n\t\\`*_<~]*\n?\Z")


def is_plain_paragraph(text: str) -> bool:
    """True if `text` is one paragraph (so far) that Markdown shows unchanged."""
    return _PLAIN.match(text) is not None and "](" not in text


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


_OPEN = re.compile(r"( {0,3})(`{3,}(?=[^`]*\Z)|~{3,})(.*)\Z", re.DOTALL)


@dataclass(slots=True)
class Fence:
    """An opened fence and its content so far, without the opening line's indent."""

    marker: str
    indent: int
    info: str
    """What stands behind the marker."""
    lines: list[str] = field(default_factory=list[str])
    closed: bool = False
    first_block: int = 0
    n_shown: int = 0
    """Lines that committed blocks hold already."""

    def take_lines(self, text: str) -> str:
        """Takes complete lines off `text` until the closing marker; returns the rest."""
        at = 0
        while not self.closed and (end := text.find("\n", at)) >= 0:
            line = text[at:end]
            at = end + 1
            if self.closes(line):
                self.closed = True
            else:
                self.lines.append(self.content(line))
        return text[at:]

    def content(self, line: str) -> str:
        """Returns a content line without as much of its indent as the opening line has."""
        column, at = 0, 0
        while column < self.indent and at < len(line) and line[at] in " \t":
            column += 1 if line[at] == " " else 4 - column % 4
            at += 1
        return " " * (column - self.indent) * (column > self.indent) + line[at:]

    def closes(self, line: str) -> bool:
        """Whether a line is the closing one."""
        body = line.lstrip(" ")
        if len(line) - len(body) > 3 or not body.startswith(self.marker):
            return False
        return not body.lstrip(self.marker[0]).strip(" \t")


def open_fence(line: str) -> Fence | None:
    """Returns the fence that a top-level line opens, if it opens one."""
    found = _OPEN.match(line)
    if found is None:
        return None
    return Fence(found[2], len(found[1]), found[3].strip(" \t"))
