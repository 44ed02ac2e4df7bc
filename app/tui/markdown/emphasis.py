"""Which runs of `*`, `_` and `~~` are marks: those that a writer means.

The rules are CommonMark's for flanking with the amendment for CJK (github.com/tats-u/markdown-cjk-friendly), made
narrower: inside words, between digits, in globs, paths, names, comments and formulas they are text. In doubt a run is
text, which loses nothing.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

from markdown_it.rules_inline.state_inline import Delimiter

if TYPE_CHECKING:
    from markdown_it.rules_inline import StateInline

_CJK = re.compile(
    "[\u1100-\u11ff\u2e80-\ua4cf\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef"
    "\U0001b000-\U0001b2ff\U00020000-\U0003ffff]"
)
_NAME = re.compile(r"__(?:[a-z0-9]+(?:_[a-z0-9]+)*|[A-Z0-9]+(?:_[A-Z0-9]+)*)(?<=__\w\w|\w\w\w\w)__(?!\w)")
"""`__init__`, `__FILE__`: a name, not a bold word."""
_BOLD_LETTERS = re.compile(r"(?:\*\*[^\W\d_]+\*\*[^\W\d_]+)+(?:\*\*[^\W\d_]+\*\*)?")
"""`**H**yper**T**ext`: a word that begins with bold letters may have more of them."""
_BOLD_PATH = re.compile(r"\*\*/[^\s*]*[^\s*/]\*\*(?![\w/*.])")
_OPENING, _CLOSING = "([{", ")]}"
_BEFORE_ONE = frozenset("([{<\"'-:,;>|*_~!?")
_AFTER_ONE = frozenset(")]}><\"'-:,;!?.|*_~")
"""What may stand outside of a lone `*` and of `_`, besides blanks, other marks and what is not ASCII."""


def run(state: StateInline, silent: bool) -> bool:
    """The rule: a run of marks as one text token each, and a delimiter where it can open or close."""
    src, start = state.src, state.pos
    marker = src[start]
    if silent or marker not in "*_~":
        return False
    if marker == "_" and (name := _NAME.match(src, start)) and not (start and is_word(src[start - 1])):
        state.append_pending(name[0])
        state.pos = name.end()
        return True
    end = start
    while end < state.posMax and src[end] == marker:
        end += 1
    opens, closes = _sides(src, start, end, state.posMax)
    state.pos = end
    if not (opens or closes) or (marker == "~" and end - start != 2):
        state.append_pending(src[start:end])
        return True
    text = "~~" if marker == "~" else marker
    length = 0 if marker == "~" else end - start
    for _ in range(start, end, len(text)):
        state.push("text", "", 0).content = text
        token = len(state.tokens) - 1
        state.delimiters.append(Delimiter(ord(marker), length, token, end=-1, open=opens, close=closes))
    return True


def is_mark(src: str, at: int) -> bool:
    """Whether a writer may take the run around `at` for marks: it could be, or it stands in a word, or alone."""
    start = end = at
    while start and src[start - 1] == src[at]:
        start -= 1
    while end < len(src) and src[end] == src[at]:
        end += 1
    before, after = _around(src, start, end, len(src))
    inside = is_word(before) and is_word(after)
    return inside or (before.isspace() and after.isspace()) or any(_sides(src, start, end, len(src)))


def is_word(char: str) -> bool:
    """Whether it is a letter or digit of a script that parts words by blanks."""
    return char.isalnum() and (char < "\u0590" or "\u1e00" <= char < "\u2000")


def _around(src: str, start: int, end: int, maximum: int) -> tuple[str, str]:
    return (src[start - 1] if start else " "), (src[end] if end < maximum else " ")


def _sides(src: str, start: int, end: int, maximum: int) -> tuple[bool, bool]:
    """Whether the run can open, and whether it can close."""
    before, after = _around(src, start, end, maximum)
    if before == after and before.isascii() and not before.isalnum() and not before.isspace():
        return False, False  # "*" and -*- and /**/
    opens = (
        not after.isspace()
        and (not is_word(before) or _is_cjk(after))
        and after not in ")]},;"
        and (not _is_punctuation(after) or before.isspace() or _is_punctuation(before) or _is_cjk(before))
    )
    closes = (
        not before.isspace()
        and before not in _OPENING
        and (not _is_punctuation(before) or after.isspace() or _is_punctuation(after) or _is_cjk(after))
    )
    if src[start] == "~":
        return opens and _opens_one(src, start, end, maximum), closes and after != "/"
    if src[start] == "_" or end - start == 1:
        return opens and _opens_one(src, start, end, maximum), closes and _closes_one(src, start, end, maximum)
    if is_word(before) and is_word(after) and (n_before := _marks_before(src, start, end)) is not None:
        return n_before % 2 == 0, n_before % 2 == 1
    if is_word(after):
        closes = _closes_in_word(src, start, after)
    elif after == "/":
        closes = closes and not src[: max(0, src.rfind("**", 0, start))].endswith("/")
    if after == "/":
        opens = opens and _BOLD_PATH.match(src, start) is not None
    return opens and before != "\\" and not (before in _CLOSING and after in _OPENING), closes


def _opens_one(src: str, start: int, end: int, maximum: int) -> bool:
    before, after = _around(src, _outer(src, start), end, maximum)
    if after in "/=" or (after == "." and is_word(src[end + 1 : end + 2] or " ")):
        return False
    if not before.isspace() and before.isascii() and before not in _BEFORE_ONE and not _is_cjk(after):
        return False
    if src[start] == "_":
        return before.isspace() or not before.isalnum()
    return not _is_product(src, start, end, before, after)


def _closes_one(src: str, start: int, end: int, maximum: int) -> bool:
    outer = end
    while outer < maximum and src[outer] in "*_~":
        outer += 1
    before, after = _around(src, start, outer, maximum)
    if is_word(after) or (after == "." and is_word(src[outer + 1 : outer + 2] or " ")):
        return False
    if not after.isspace() and after.isascii() and after not in _AFTER_ONE:
        return False
    if src[start] == "_":
        return after.isspace() or not after.isalnum()
    return not _is_product(src, start, end, before, after)


def _outer(src: str, at: int) -> int:
    while at and src[at - 1] in "*_~":
        at -= 1
    return at


def _is_product(src: str, start: int, end: int, before: str, after: str) -> bool:
    """A star between two letters of a formula, as in 体积=长*宽*高."""
    if not (before.isalpha() and after.isalpha()):
        return False
    line = src[src.rfind("\n", 0, start) + 1 : max(end, src.find("\n", end)) if "\n" in src[end:] else len(src)]
    return "=" in line or "\uff1d" in line


def _marks_before(src: str, start: int, end: int) -> int | None:
    """How many pairs of stars stand in a word of bold letters before the run; None in any other word."""
    begin = start
    while begin and (src[begin - 1] == "*" or src[begin - 1].isalpha()):
        begin -= 1
    found = _BOLD_LETTERS.match(src, begin)
    return src.count("**", begin, start) if found is not None and found.end() >= end else None


def _closes_in_word(src: str, start: int, after: str) -> bool:
    """Two stars or more before a letter: they close what was opened at the start of the word, or before a colon."""
    begin = src.rfind("**", 0, start)
    if begin < 0 or not after.isalpha():
        return False
    while begin and src[begin - 1] == "*":
        begin -= 1
    inside = src[begin:start].lstrip("*")
    clean = begin == 0 or src[begin - 1].isspace() or src[begin - 1] in "([{\"'"
    if not inside or inside[0].isspace():
        return False
    if inside[-1] in ":.!?":
        return clean and "\n" not in inside
    return not is_word(src[begin - 1] if begin else " ") and re.sub("['’-]", "", inside).isalnum()


@lru_cache(1024)
def _is_punctuation(char: str) -> bool:
    """Punctuation and symbols, but for those of CJK."""
    return unicodedata.category(char)[0] in "PS" and not _is_cjk(char)


def _is_cjk(char: str) -> bool:
    return char >= "\u1100" and _CJK.match(char) is not None
