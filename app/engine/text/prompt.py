"""Builds prompts: a conversation to the token ids that the model continues, split into system prompt, history, turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from app.domain.conversation import Role
from app.domain.generation import PromptSpans
from app.domain.trace import PromptToken
from app.engine.text import marks
from app.engine.text.align import PromptTokenMapper
from app.engine.text.marks import OPEN_BYTES, without_marks
from app.engine.text.replies import ReplyMemory
from app.engine.text.template import ChatTemplate, ReplyMessage, message_thinking
from app.engine.text.thinking import UNMARKED, Parts, ReplyFormat
from app.engine.text.tokenizer import Chunk, Guard, Tokenizer, Vocab
from app.protocol.commands import ChatMessage

_USER = OPEN_BYTES[Role.USER]


def _find_borders(data: bytes, opener: bytes) -> tuple[int, int]:
    """Returns (end of the system prompt, start of the last turn), in bytes of the marked text `data`.

    A turn begins with the `opener` that the template writes before a user message. Without marks in `data`, all of it
    is the last turn.
    """
    first, last = data.find(_USER), data.rfind(_USER)
    if first < 0:
        return 0, 0
    return _opened(data[:first], opener), _opened(data[:last], opener)


def _opened(head: bytes, opener: bytes) -> int:
    """Index of the opener at the end of `head`, ignoring white space; its own beginning (BOS) may be missing."""
    head, opener = head.rstrip(), opener.rstrip()
    n = 0
    while n < min(len(head), len(opener)) and head[-1 - n] == opener[-1 - n]:
        n += 1
    return len(head) - n


def _count_spans(data: bytes, chunks: Sequence[Chunk], at: tuple[int, int], vocab: Vocab, n_bos: int) -> PromptSpans:
    """Counts the tokens of a prompt of `n_bos` tokens and `chunks`, cut at the two byte offsets `at`.

    An offset usually falls between chunks. Inside a chunk, tokens are counted by their bytes; a token that crosses the
    cut belongs to the part before it.
    """
    n_total = n_bos + sum(len(ids) for _, ids in chunks)
    n_system, n_before = (_n_before(data, chunks, border, vocab) for border in at)
    n_system += n_bos if n_system else 0
    n_before += n_bos if n_before else 0
    return PromptSpans(n_system, n_before - n_system, n_total - n_before)


def _n_before(data: bytes, chunks: Sequence[Chunk], border: int, vocab: Vocab) -> int:
    n = 0
    ends = [start for start, _ in chunks[1:]] + [len(data)]
    for (start, ids), end in zip(chunks, ends, strict=True):
        if end <= border:
            n += len(ids)
            continue
        room = len(without_marks(data[start:border]))
        for token in ids:
            if room <= 0:
                break
            room -= len(vocab.named_pieces[token])
            n += 1
        break
    return n


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt for the model."""

    ids: list[int]
    spans: PromptSpans
    """Its parts sum to `len(ids)`."""
    notices: tuple[str, ...] = ()
    strip_space: bool = False
    """The reply begins with a space that only the vocabulary adds; for `Detokenizer`."""
    n_kept: int = 0
    """How many of the last ids are the beginning of the reply."""
    given: Sequence[int] = ()
    """Bytes that the first ids stand for if they were not tokenised: BOS, or a prompt that came as ids."""
    data: bytes = b""
    """The marked text that was tokenised."""
    chunks: Sequence[Chunk] = ()
    """The ids of `data`."""


class PromptBuilder:
    """Builds prompts for one model."""

    def __init__(self, vocab: Vocab, template: ChatTemplate, replies: ReplyFormat = UNMARKED) -> None:
        """`replies`: how to split earlier replies into thinking and answer."""
        self._vocab = vocab
        self._template = template
        self._format = replies
        foreign, own = Guard(vocab), Guard(vocab, user_defined=False)
        self._guards = {Role.SYSTEM: foreign, Role.USER: foreign, Role.ASSISTANT: own}
        tokenizer = self._tokenizer = Tokenizer(vocab)
        self._replies = ReplyMemory(vocab, tokenizer, own)
        self._special_ids = frozenset(special.id for special in vocab.special)
        self._adds_space = tokenizer.adds_space
        self._mapper = PromptTokenMapper(vocab)

    def content_ids(self, text: str, *, continued: bool) -> list[int]:
        """Ids of text that a reply is made to continue with; control tokens in it stay text, as in a later prompt.

        `continued`: False at the beginning of a reply, where the vocabulary may add a space.
        """
        return self._replies.content_ids(marks.clean(text), continued=continued)

    def token_spans(self, prompt: Prompt) -> tuple[PromptToken, ...]:
        """A prompt's tokens with their pieces and the number of bytes of the rendered text that each stands for."""
        mapper, kept = self._mapper, prompt.ids[len(prompt.ids) - prompt.n_kept :]
        sizes = [*prompt.given, *mapper.sizes(prompt.data, prompt.chunks), *mapper.own_sizes(kept)]
        return mapper.tokens(prompt.ids, sizes)

    def remember(self, text: str, ids: Sequence[int]) -> None:
        """Keeps the ids (without the end token) of a reply that was shown as `text`, for later prompts."""
        for part in self._format.split(marks.clean(text)):
            self._replies.remember(text, ids, part)

    def build(self, messages: Sequence[ChatMessage]) -> Prompt:
        """Renders and tokenises a conversation. Adds exactly one BOS if the model wants it, and never EOS."""
        text, notices = self._render(messages)
        data = text.encode(errors="replace")
        bos: list[int] = []
        given: list[int] = []
        if self._vocab.add_bos and self._vocab.bos is not None:
            bos = [self._vocab.bos]
            name = self._vocab.named_pieces[self._vocab.bos]
            given = [len(name) if data.startswith(name) else 0]
            while name and data.startswith(name):
                data = data.removeprefix(name)
        chunks = self._replies.chunks(data)
        ids = bos + [i for _, run in chunks for i in run]
        spans = _count_spans(
            data, chunks, _find_borders(data, self._template.user_opener.encode()), self._vocab, len(bos)
        )
        return Prompt(ids, spans, notices, self._strips(ids), given=given, data=data, chunks=chunks)

    def from_ids(self, ids: Sequence[int]) -> Prompt:
        """A prompt from token ids; all of it counts as the last turn."""
        spans = PromptSpans(n_turn=len(ids))
        return Prompt(list(ids), spans, strip_space=self._strips(ids), given=self._mapper.own_sizes(ids))

    def from_text(self, text: str, *, bos: bool, parse_special: bool = False) -> Prompt:
        """A prompt from text, without the template; all of it counts as the last turn.

        `bos`: add BOS if the model wants it. `parse_special`: names of control tokens become these tokens.
        """
        data = marks.clean(text).encode()
        first = [self._vocab.bos] if bos and self._vocab.add_bos and self._vocab.bos is not None else []
        chunks = self._tokenizer.chunks(data) if parse_special else [(0, self._vocab.tokenize(data))]
        ids = first + [i for _, run in chunks for i in run]
        spans = PromptSpans(n_turn=len(ids))
        return Prompt(ids, spans, strip_space=self._strips(ids), given=[0] * len(first), data=data, chunks=chunks)

    def _strips(self, ids: Sequence[int]) -> bool:
        return self._adds_space and bool(ids) and ids[-1] in self._special_ids

    def _render(self, messages: Sequence[ChatMessage]) -> tuple[str, tuple[str, ...]]:
        """The marked text if marks do not change what the template writes, else the plain text; with notices."""
        guarded = [self._guarded(message) for message in messages]
        plain, notices = self._template.render(guarded)
        marked = self._template.render([_enclosed(message) for message in guarded]).text
        return (marked if marks.without_borders(marked) == plain else plain), notices

    def _guarded(self, message: ChatMessage) -> ChatMessage:
        """A message whose text cannot become control tokens; a reply's thinking is split from its answer."""
        guard, content = self._guards[message.role], marks.clean(message.content)
        if message.role is not Role.ASSISTANT:
            return replace(message, content=guard(content))
        parts = self._format.split(content)
        if message.answer_at and not parts.thinking:  # by another model, or a server: its marks are unknown here
            thinking, answer = message.content[: message.answer_at].strip(), message.content[message.answer_at :]
            parts = Parts(marks.clean(thinking), marks.clean(answer))
        return ReplyMessage(message.role, guard(parts.answer), thinking=guard(parts.thinking))


def _enclosed(message: ChatMessage) -> ChatMessage:
    role, content = message.role, marks.enclose(message.role, message.content)
    return ReplyMessage(role, content, thinking=marks.enclose(role, message_thinking(message)))
