"""Texts that a reply must not contain, however they are cut into tokens.

After each token the tokens that would complete a banned text are known: those that contain it, and those that begin
with the rest of one that the reply's last bytes have begun. They are banned for the next choice only.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.sampling import SamplingParams
from app.engine.core.backend import SamplingError
from app.engine.native.model import NativeModel
from app.engine.native.vocab import NativeVocab, PieceIndex

_MOST_VARIANTS = 6


class TextBans:
    """Follows one reply."""

    def __init__(self, texts: Sequence[bytes], vocab: NativeVocab, index: PieceIndex) -> None:
        self._pieces = vocab.pieces
        self._index = index
        self._texts = texts
        self._always = frozenset(token for text in texts for token in index.holding(text))
        self._completing: dict[bytes, frozenset[int]] = {}
        """By the rest of a text: the tokens that begin with it."""
        self._longest = max(map(len, texts)) - 1
        self._tail = b""
        self.banned = self._always
        """The tokens that must not come next."""

    def push(self, tokens: Sequence[int]) -> bool:
        """Takes the text's next tokens; returns whether `banned` has changed."""
        before = self.banned
        text = self._tail + b"".join(self._pieces[token] for token in tokens)
        self._tail = text[-self._longest :] if self._longest else b""
        found = self._always
        for banned in self._texts:
            for n in range(1, min(len(banned) - 1, len(self._tail)) + 1):
                if self._tail.endswith(banned[:n]):
                    found |= self._completed_by(banned[n:])
        self.banned = found
        return found != before

    def _completed_by(self, rest: bytes) -> frozenset[int]:
        if rest not in self._completing:
            self._completing[rest] = frozenset(self._index.beginning(rest))
        return self._completing[rest]


def banned_tokens(model: NativeModel, params: SamplingParams) -> list[int]:
    """The tokens that `ban` names; a text of several tokens is none of them, see `banned_texts`.

    Raises SamplingError.
    """
    named = (model.token_ids(name) for name in params.ban)
    return [token for tokens in named if len(tokens) == 1 for token in tokens]


def banned_texts(model: NativeModel, params: SamplingParams) -> list[bytes]:
    """The texts that must not come: those of `ban_text`, and those of `ban` that are more than one token.

    Raises SamplingError.
    """
    if "" in params.ban_text:
        raise SamplingError("a banned text is empty")
    several = (name for name in params.ban if len(model.token_ids(name)) > 1)
    return [text.encode() for text in dict.fromkeys((*params.ban_text, *several))]


def ban_notices(model: NativeModel, params: SamplingParams) -> list[str]:
    """What `ban` does not do, for each of its texts: it may be one token of several that write it."""
    notices: list[str] = []
    tokens = set(banned_tokens(model, params))
    covered = [text.decode() for text in banned_texts(model, params)]
    for name in params.ban:
        ids = model.token_ids(name)
        if len(ids) > 1:
            notices.append(f"{name!r} is {len(ids)} tokens: none of them is banned, but the text as a whole")
        elif ids and not name.startswith("#") and model.vocab.pieces[ids[0]]:
            others = [each for each in _variants(name) if not any(text in each for text in covered)]
            found = [each for each in others if len(own := model.token_ids(each)) == 1 and own[0] not in tokens]
            if found:
                listed = ", ".join(map(repr, found[:_MOST_VARIANTS]))
                notices.append(f"only the token {name!r} (#{ids[0]}) is banned, not {listed}: --ban-text bans a text")
    return notices


def _variants(name: str) -> list[str]:
    """The same word with and without a blank in front, in small letters, and with a capital."""
    word = name.strip()
    forms = dict.fromkeys((word, word.lower(), word.capitalize()))
    return [form for each in forms for form in (each, f" {each}") if form != name]
