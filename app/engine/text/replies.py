"""Remembers the ids of sampled replies, so that the next prompt repeats what is in the KV cache.

Tokenising the text of a reply again may cut it differently than the model did; everything after that would have to be
computed again.
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
    """White space before the text."""
    after: bytes
    """White space after the text."""
    ids: list[int]


class ReplyMemory:
    """The last 1,024 replies of one model, by their text."""

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
        """Ids of a part of a reply's text; control tokens in it stay text. `continued`: as for `Tokenizer.text_ids`."""
        return self._tokenizer.text_ids(self._guard(text).encode(errors="replace"), continued=continued)

    def chunks(self, data: bytes) -> list[Chunk]:
        """Tokenises marked UTF-8. A reply that the template left unchanged keeps its sampled ids."""
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
        """The ids after the text `before`; empty if it ends inside a token."""
        if not before:
            return ids
        at = self._begin(before, ids)
        for n, token in enumerate(ids, 1):
            at += len(self._vocab.pieces[token])
            if at >= len(before):
                return ids[n:] if at == len(before) else ()
        return ()

    def _begin(self, data: bytes, ids: Sequence[int]) -> int:
        """Index in `data` of the first id: -1 if the detokenizer dropped a space in front."""
        return -1 if not data.startswith(b" ") and self._text(ids[:1]).startswith(b" ") else 0

    def _text(self, ids: Sequence[int]) -> bytes:
        return b"".join(self._vocab.pieces[i] for i in ids)

    def _cover(self, data: bytes, ids: Sequence[int]) -> tuple[list[int], bytes]:
        """The longest run of ids that ends at a character boundary of `data`, and the rest of `data`."""
        at = self._begin(data, ids)
        n_kept, kept_to = 0, 0
        for n, token in enumerate(ids, 1):
            if at == len(data):
                break  # the template writes what follows the text
            piece = self._vocab.pieces[token]
            if data[max(at, 0) : at + len(piece)] != (piece[1:] if at < 0 else piece):
                break
            at += len(piece)
            if at == len(data) or (at >= 0 and data[at] & 0xC0 != 0x80):
                n_kept, kept_to = n, at
        return list(ids[:n_kept]), data[kept_to:]
