"""A conversation becomes the token ids that the model continues.

Each message's text is guarded (it cannot become control tokens) and marked, rendered by the template, and tokenised;
replies that the model sampled keep the ids that lie in the KV cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.conversation import Role
from app.domain.generation import PromptSpans
from app.engine.text import marks
from app.engine.text.guard import Guard
from app.engine.text.replies import ReplyMemory
from app.engine.text.spans import borders, count
from app.engine.text.template import ChatTemplate
from app.engine.text.tokenizer import Tokenizer
from app.engine.text.vocab import Vocab
from app.protocol.commands import ChatMessage


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is fed to the model."""

    ids: list[int]
    spans: PromptSpans
    """Its parts sum to `len(ids)`."""
    notices: tuple[str, ...] = ()
    strip_space: bool = False
    """Whether the reply's text begins with a space that only the vocabulary put there: for `Detokenizer`."""


class PromptBuilder:
    """Builds prompts for one model."""

    def __init__(self, vocab: Vocab, template: ChatTemplate) -> None:
        self._vocab = vocab
        self._template = template
        foreign, own = Guard(vocab), Guard(vocab, user_defined=False)
        self._guards = {Role.SYSTEM: foreign, Role.USER: foreign, Role.ASSISTANT: own}
        tokenizer = Tokenizer(vocab)
        self._replies = ReplyMemory(vocab, tokenizer, own)
        self._special_ids = frozenset(special.id for special in vocab.special)
        self._adds_space = tokenizer.adds_space

    def remember(self, text: str, ids: Sequence[int]) -> None:
        """Notes the ids (without the end token) of a reply that was shown as `text`, for the prompts to come."""
        self._replies.remember(text, ids)

    def build(self, messages: Sequence[ChatMessage]) -> Prompt:
        """Renders and tokenises a branch. BOS stands in front exactly once where the model wants it; EOS never."""
        text, notices = self._render(messages)
        data = text.encode(errors="replace")
        bos: list[int] = []
        if self._vocab.add_bos and self._vocab.bos is not None:
            bos = [self._vocab.bos]
            name = self._vocab.named_pieces[self._vocab.bos]
            while name and data.startswith(name):
                data = data.removeprefix(name)
        chunks = self._replies.chunks(data)
        ids = bos + [i for _, run in chunks for i in run]
        spans = count(data, chunks, borders(data, self._template.user_opener.encode()), self._vocab, len(bos))
        strip_space = self._adds_space and bool(ids) and ids[-1] in self._special_ids
        return Prompt(ids, spans, notices, strip_space)

    def _render(self, messages: Sequence[ChatMessage]) -> tuple[str, tuple[str, ...]]:
        """The marked text where the template lets marks through unseen, else the plain one."""
        guarded = [ChatMessage(m.role, self._guards[m.role](marks.clean(m.content))) for m in messages]
        plain, notices = self._template.render(guarded)
        marked = self._template.render([ChatMessage(m.role, marks.enclose(m.role, m.content)) for m in guarded]).text
        return (marked if marks.without_borders(marked) == plain else plain), notices
