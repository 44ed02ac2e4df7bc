"""Rules for blocks, in place of markdown-it's: indents stay, math is left alone, headings and lists are meant."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from markdown_it import rules_block

if TYPE_CHECKING:
    from markdown_it.rules_block import StateBlock

_BLANK = " \t\n"
"""What Markdown calls blank: not the ideographic space that begins a paragraph."""
_UNDERLINE = re.compile(r"(?:-{3,}|={3,})[ \t]*\Z")
_NUMBERED = re.compile(r"\d{1,3}[.)][ \t]+\S")
_MANY_BULLETS = re.compile(r"(?:[-+*][ \t]+){3}")
_LIST_SIGNS = tuple("-+*0123456789")
_PROMPT = re.compile(r">>>(?:[ \t]|\Z)")
_MATH = re.compile(r"(\\\[)|(\$\$)|\\begin\{([^{}\n]+)\}")


def paragraph(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """As in CommonMark, but the indent of its lines stays; not the one blank with which many a reply begins."""
    rules_block.paragraph(state, start_line, end_line, silent)
    content = state.getLines(start_line, state.line, state.blkIndent, False).rstrip(_BLANK)
    is_indent = content.startswith("  ") or "\n " in content
    state.tokens[-2].content = content if is_indent else content.removeprefix(" ")
    return True


def lheading(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """One line with three or more `=` or `-` under it; under several lines those are text, or a rule."""
    under = start_line + 1
    if silent or under >= end_line or not 0 <= state.sCount[under] - state.blkIndent <= 3:
        return False
    if state.is_code_block(start_line) or not _UNDERLINE.match(_line(state, under)):
        return False
    marker = _line(state, under)[0]
    tag = "h1" if marker == "=" else "h2"
    state.line = under + 1
    token = state.push("heading_open", tag, 1)
    token.map, token.markup = [start_line, state.line], marker
    inline = state.push("inline", "", 0)
    inline.content = _line(state, start_line).rstrip(_BLANK)
    inline.map, inline.children = [start_line, under], []
    state.push("heading_close", tag, -1).markup = marker
    return True


def list_block(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """As in CommonMark, but not deeper than is read, and `* * * * * job` is no list in a list in a list.

    Under a line that ends with a colon a list may begin with any number.
    """
    if not state.src.startswith(_LIST_SIGNS, state.bMarks[start_line] + state.tShift[start_line]):
        return False
    line = _line(state, start_line)
    if state.level + 2 >= state.md.options.maxNesting or _MANY_BULLETS.match(line):
        return False
    if rules_block.list_block(state, start_line, end_line, silent):
        return True
    return (
        silent
        and state.parentType == "paragraph"
        and 0 <= state.sCount[start_line] - state.blkIndent <= 3
        and _line(state, start_line - 1).rstrip(_BLANK).endswith(":")
        and _NUMBERED.match(line) is not None
    )


def blockquote(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """As in CommonMark, but not deeper than is read, and not Python's prompt."""
    if not state.src.startswith(">", state.bMarks[start_line] + state.tShift[start_line]):
        return False
    if state.level + 1 >= state.md.options.maxNesting or _PROMPT.match(_line(state, start_line)):
        return False
    return rules_block.blockquote(state, start_line, end_line, silent)


def math(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    r"""A formula that stands alone is text, line by line: from `\[`, `$$` or `\begin{x}` to its end or a blank line."""
    if not state.src.startswith(("\\", "$"), state.bMarks[start_line] + state.tShift[start_line]):
        return False
    line = _line(state, start_line)
    found = _MATH.match(line)
    if found is None or state.is_code_block(start_line):
        return False
    end = r"\]" if found[1] else "$$" if found[2] else rf"\end{{{found[3]}}}"
    rest = line[found.end() :].rstrip(_BLANK)
    if end in rest and not rest.endswith(end):
        return False
    if silent:
        return True
    after = start_line + 1
    while not rest.endswith(end) and after < end_line and not state.isEmpty(after):
        if state.sCount[after] < state.blkIndent:
            break
        rest = _line(state, after).rstrip(_BLANK)
        after += 1
    state.line = after
    token = state.push("math", "", 0)
    token.map = [start_line, after]
    token.content = state.getLines(start_line, after, state.blkIndent, False).rstrip(_BLANK)
    return True


def _line(state: StateBlock, number: int) -> str:
    return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]]
