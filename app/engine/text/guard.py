"""Keeps the text of messages from becoming control tokens: a mark inside every special text that somebody wrote."""

from __future__ import annotations

from collections import defaultdict

from app.engine.text.marks import GUARD
from app.engine.text.vocab import SpecialToken, Vocab

_TAG_CHARACTERS = set("<>[]{}|\u2581\uff5c\u3010\u3011")


class Guard:
    """Splits special texts in untrusted strings, before they are put into a template.

    USER_DEFINED tokens that do not look like tags (runs of spaces in gpt-neox, letters in deepseek-coder) are
    ordinary text and stay whole. So do tokens of one character: nothing can be put inside them.
    """

    def __init__(self, vocab: Vocab, *, user_defined: bool = True) -> None:
        """With `user_defined=False` only CONTROL and UNKNOWN texts are split.

        That is for a model's own replies: it writes tags such as `<think>` as tokens, and its template looks for them.
        """
        self._tags: defaultdict[str, list[str]] = defaultdict(list)
        self._heads: set[str] = set()
        self._tails: set[str] = set()
        for special in vocab.special:
            tag = _tag(special)
            if tag and (user_defined or not special.user_defined):
                self._tags[tag[:2]].append(tag)
                self._heads.update(tag[:k] for k in range(1, len(tag)))
                self._tails.update(tag[k:] for k in range(1, len(tag)))
        self._longest = max(map(len, self._heads), default=0)

    def __call__(self, text: str) -> str:
        """`text` in which no special text stands, begins at the end or ends at the beginning."""
        for start, tags in self._tags.items():
            if start in text:
                for tag in tags:
                    while tag in text:
                        text = text.replace(tag, tag[0] + GUARD + tag[1:])
        lengths = range(1, min(self._longest, len(text)) + 1)
        before = GUARD if any(text[:k] in self._tails for k in lengths) else ""
        after = GUARD if any(text[-k:] in self._heads for k in lengths) else ""
        return f"{before}{text}{after}"


def _tag(special: SpecialToken) -> str:
    try:
        text = special.text.decode()
    except UnicodeDecodeError:
        return ""
    is_tag = not special.user_defined or not _TAG_CHARACTERS.isdisjoint(text)
    return text if len(text) > 1 and text.strip() and is_tag else ""
