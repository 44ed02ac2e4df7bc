"""Remembers the ids of sampled replies, so that the next prompt holds what already lies in the KV cache.

Tokenising a reply's text again may cut it elsewhere than the model did, and all after that would be computed again.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.conversation import Role
from app.engine.text.marks import CLOSE_BYTES, OPEN_BYTES, without_marks
from app.engine.text.tokenizer import Chunk, Guard, Tokenizer, Vocab

_MAX_REPLIES = 1024
_REPLY = re.compile(re.escape(OPEN_BYTES[Role.ASSISTANT]) + b"(.*?)" + re.escape(CLOSE_BYTES), re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Reply:
    before: bytes
    """White space that the text begins with."""
    after: bytes
    """White space that it ends with."""
    ids: list[int]


class ReplyMemory:
    """The last replies of one model, by their text."""

    def __init__(self, vocab: Vocab, tokenizer: Tokenizer, guard: Guard) -> None:
        self._vocab = vocab
        self._tokenizer = tokenizer
        self._guard = guard
        self._replies: OrderedDict[bytes, _Reply] = OrderedDict()

    def remember(self, text: str, ids: Sequence[int], part: str) -> None:
        """Keeps the ids of `part`, one part of the `text` that was shown for `ids` (without the end token).

        Does nothing if the ids' bytes are not the text's. Of text that a stop string cut, keeps the ids up to the cut
        and tokenises the rest anew.
        """
        core = part.strip()
        at = text.rfind(part)
        if not core or at < 0:
            return
        ids = self._from(text[:at].encode(errors="replace"), ids)
        data = part.encode(errors="replace")
        kept, rest = self._cover(data, ids)
        whole = [*kept, *self.content_ids(rest.decode(), continued=True)]
        if not kept or self._text(whole) not in (data, b" " + data):
            return
        start = part.index(core)
        reply = _Reply(part[:start].encode(), part[start + len(core) :].encode(), whole)
        key = core.encode(errors="replace")
        self._replies[key] = reply
        self._replies.move_to_end(key)
        if len(self._replies) > _MAX_REPLIES:
            self._replies.popitem(last=False)

    def content_ids(self, text: str, *, continued: bool) -> list[int]:
        """The ids of a piece of a reply's text, in which no control token is parsed."""
        return self._tokenizer.text_ids(self._guard(text).encode(errors="replace"), continued=continued)

    def chunks(self, data: bytes) -> list[Chunk]:
        """Tokenises marked UTF-8, with the sampled ids in place of each reply that the template left as it was."""
        chunks: list[Chunk] = []
        at = 0
        for found in _REPLY.finditer(data):
            reply = self._replies.get(without_marks(found[1]))
            if reply is None:
                continue
            start, end = found.start() - len(reply.before), found.end() + len(reply.after)
            if start >= at and data[start : found.start()] == reply.before and data[found.end() : end] == reply.after:
                chunks += self._tokenizer.chunks(data[at:start], at, continued=at > 0)
                chunks.append((start, reply.ids))
                at = end
        return chunks + self._tokenizer.chunks(data[at:], at, continued=at > 0)

    def _from(self, before: bytes, ids: Sequence[int]) -> Sequence[int]:
        """The ids that come after the text `before`; none where it ends inside a token."""
        if not before:
            return ids
        at = self._begin(before, ids)
        for n, token in enumerate(ids, 1):
            at += len(self._vocab.pieces[token])
            if at >= len(before):
                return ids[n:] if at == len(before) else ()
        return ()

    def _begin(self, data: bytes, ids: Sequence[int]) -> int:
        """Where in `data` the ids begin: before it where the detokenizer left a vocabulary's own space out."""
        return -1 if not data.startswith(b" ") and self._text(ids[:1]).startswith(b" ") else 0

    def _text(self, ids: Sequence[int]) -> bytes:
        return b"".join(self._vocab.pieces[i] for i in ids)

    def _cover(self, data: bytes, ids: Sequence[int]) -> tuple[list[int], bytes]:
        """The longest run of ids that ends on a character of `data`, and the rest of `data`."""
        at = self._begin(data, ids)
        n_kept, kept_to = 0, 0
        for n, token in enumerate(ids, 1):
            if at == len(data):
                break  # what comes after the text is the template's to write
            piece = self._vocab.pieces[token]
            if data[max(at, 0) : at + len(piece)] != (piece[1:] if at < 0 else piece):
                break
            at += len(piece)
            if at == len(data) or (at >= 0 and data[at] & 0xC0 != 0x80):
                n_kept, kept_to = n, at
        return list(ids[:n_kept]), data[kept_to:]
