"""Rules for what stands in a line, in place of markdown-it's: what they hide is only what a reader sees drawn.

Each token's length in the source follows from its content and markup: see `app.tui.markdown.placing`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from markdown_it import rules_inline

from app.tui.markdown.emphasis import is_mark, is_word

if TYPE_CHECKING:
    from markdown_it.rules_inline import StateInline

_AUTOLINK = re.compile(r"<(?:[A-Za-z][A-Za-z0-9+.\-]{1,31}:[^<>\x00-\x20]*|[^\s<>@]+@[^\s<>@]+)>")
_PLACE_ON_THE_NET = re.compile(r"[^)]*://|mailto:|[/#.<]")
_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_NOT_MARKDOWN = re.compile(r"\\[A-Za-z0-9\\{}]|(?<![A-Za-z])[A-Za-z]:\\")
"""In a word with one of these, backslashes are those of a path, of TeX or of a pattern."""
_ESCAPES = re.compile(r"\\(?=[*_`~])")
_BLOCK_MARK = re.compile(r"(?:#{1,6}|[-+])(?=[ \t\n]|\Z)|>|---|===|```|~~~")
_NUMBER = re.compile(r"[ \t]*\d{1,9}\Z")


def newline(state: StateInline, silent: bool) -> bool:
    """A line ends where it was ended; the indent of the next one stays."""
    if state.src[state.pos] != "\n":
        return False
    if not silent:
        state.push("softbreak", "br", 0)
    state.pos += 1
    return True


def escape(state: StateInline, silent: bool) -> bool:
    r"""What stands behind a backslash is no mark. The backslash is shown, but where it keeps one from being drawn.

    `\(…\)` and `\[…\]` are text as a whole.
    """
    src, at, maximum = state.src, state.pos, state.posMax
    if src[at] != "\\" or at + 1 >= maximum:
        return False
    char, shown = src[at + 1], 2
    if char == "\n":
        if at == 0 or src[at - 1] in " \t\\/|_-":
            return False  # of a command that goes on, or a picture
        if not silent:
            state.push("hardbreak", "br", 0)
    elif char not in _PUNCTUATION:
        return False
    elif char in "([" and (end := src.find(f"\\{')' if char == '(' else ']'}", at + 2, maximum)) >= 0:
        shown = end + 2 - at
        if not silent:
            state.append_pending(src[at : at + shown])
    elif silent:
        pass
    elif _hides(src, at):
        token = state.push("text_special", "", 0)
        token.content, token.markup, token.info = char, src[at : at + 2], "escape"
    else:
        state.append_pending(src[at : at + 2])
    state.pos = at + shown
    return True


def _hides(src: str, at: int) -> bool:
    """Whether what stands behind the backslash at `at` would be a mark without it."""
    begin = max(src.rfind(blank, 0, at) for blank in " \t\n") + 1
    end = min((k for blank in " \t\n" if (k := src.find(blank, at)) >= 0), default=len(src))
    if _NOT_MARKDOWN.search(src, begin, end):
        return False
    char = src[at + 1]
    if char in "*_":
        before = _ESCAPES.sub("", src[max(0, at - 8) : at])
        return is_mark(before + _ESCAPES.sub("", src[at + 1 : at + 9]), len(before))
    if char == "~":
        return src[at + 2 : at + 4].startswith(("~", "\\~")) or src.endswith("~", 0, at)
    line = src[src.rfind("\n", 0, at) + 1 : at]
    if char in ".)":
        return _NUMBER.match(line) is not None
    return char == "`" or (not line.strip(" \t") and _BLOCK_MARK.match(src, at + 1) is not None)


def backticks(state: StateInline, silent: bool) -> bool:
    """Code, but its line ends stay; `lost` in its meta: characters taken off at each end."""
    begin, n_before = state.pos, len(state.tokens)
    if not rules_inline.backtick(state, silent):
        return False
    if len(state.tokens) > n_before and (token := state.tokens[-1]).type == "code_inline":
        n_mark = len(token.markup)
        raw = state.src[begin + n_mark : state.pos - n_mark]
        lost = (len(raw) - len(token.content)) // 2
        token.content = raw[lost : len(raw) - lost]
        token.meta["lost"] = lost
    return True


def link(state: StateInline, silent: bool) -> bool:
    """`[text](target)`: the target stays with its brackets, as it was written. Definitions make no links."""
    at = state.pos
    if state.src[at] != "[" or (found := _target(state, at)) is None:
        return False
    label_end, end = found
    if at and is_word(state.src[at - 1]) and not _PLACE_ON_THE_NET.match(state.src, label_end + 2):
        return False  # handlers[0](event)
    if not silent:
        maximum = state.posMax
        state.pos, state.posMax = at + 1, label_end
        state.push("link_open", "a", 1)
        state.md.inline.tokenize(state)
        state.push("link_close", "a", -1).content = state.src[label_end + 1 : end]
        state.posMax = maximum
    state.pos = end
    return True


def image(state: StateInline, silent: bool) -> bool:
    """`![text](target)`: its `target` is in its meta, with its brackets."""
    at = state.pos
    if not state.src.startswith("![", at) or (found := _target(state, at + 1)) is None:
        return False
    label_end, end = found
    if not silent:
        token = state.push("image", "img", 0)
        token.content = state.src[at + 2 : label_end]
        token.meta["target"] = state.src[label_end + 1 : end]
    state.pos = end
    return True


def autolink(state: StateInline, silent: bool) -> bool:
    """`<https://…>`: text as it was written."""
    found = _AUTOLINK.match(state.src, state.pos, state.posMax)
    if found is None:
        return False
    if not silent:
        state.push("autolink", "a", 0).content = found[0]
    state.pos = found.end()
    return True


def _target(state: StateInline, at: int) -> tuple[int, int] | None:
    """Returns the end of the label that begins at `at`, and where the target behind it ends."""
    helpers, src, maximum = state.md.helpers, state.src, state.posMax
    label_end = helpers.parseLinkLabel(state, at, True)
    if label_end < 0 or not src.startswith("(", label_end + 1):
        return None
    pos = _skip(src, label_end + 2, maximum)
    target = helpers.parseLinkDestination(src, pos, maximum)
    if target.ok:
        after = target.pos
        pos = _skip(src, after, maximum)
        title = helpers.parseLinkTitle(src, pos, maximum)
        if pos > after and pos < maximum and title.ok:
            pos = _skip(src, title.pos, maximum)
    return (label_end, pos + 1) if pos < maximum and src[pos] == ")" else None


def _skip(src: str, at: int, maximum: int) -> int:
    while at < maximum and src[at] in " \t\n":
        at += 1
    return at
