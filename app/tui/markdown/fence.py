"""One top-level fence read line by line, as markdown-it does, so that an open one is never parsed again."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

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
