"""A conversation becomes the token ids that the model continues, divided into system prompt, history and turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.conversation import Role
from app.domain.generation import PromptSpans
from app.domain.trace import PromptToken
from app.engine.text import marks
from app.engine.text.align import PromptTokenMapper
from app.engine.text.marks import OPEN_BYTES, without_marks
from app.engine.text.replies import ReplyMemory
from app.engine.text.template import ChatTemplate, ReplyMessage, message_thinking
from app.engine.text.thinking import UNMARKED, ReplyFormat
from app.engine.text.tokenizer import Chunk, Guard, Tokenizer, Vocab
from app.protocol.commands import ChatMessage

_USER = OPEN_BYTES[Role.USER]


def find_borders(data: bytes, opener: bytes) -> tuple[int, int]:
    """Where the system part ends and the last turn begins, in bytes of the marked text.

    A part begins with the template text (`opener`) that opens its user message. Without marks (the template does not
    let them through) everything counts as the last turn.
    """
    first, last = data.find(_USER), data.rfind(_USER)
    if first < 0:
        return 0, 0
    return _opened(data[:first], opener), _opened(data[:last], opener)


def _opened(head: bytes, opener: bytes) -> int:
    """Where the opener that `head` ends with begins, white space aside; it may have lost its own beginning (BOS)."""
    head, opener = head.rstrip(), opener.rstrip()
    n = 0
    while n < min(len(head), len(opener)) and head[-1 - n] == opener[-1 - n]:
        n += 1
    return len(head) - n


def count_spans(data: bytes, chunks: Sequence[Chunk], at: tuple[int, int], vocab: Vocab, n_bos: int) -> PromptSpans:
    """The spans of a prompt of `n_bos` tokens and `chunks`, cut at the two byte offsets `at`.

    Offsets fall between chunks as a rule. Inside a chunk the tokens are counted by their bytes, and a token that
    crosses the cut belongs to the part before it.
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
    """What is fed to the model."""

    ids: list[int]
    spans: PromptSpans
    """Its parts sum to `len(ids)`."""
    notices: tuple[str, ...] = ()
    strip_space: bool = False
    """Whether the reply's text begins with a space that only the vocabulary put there: for `Detokenizer`."""
    n_kept: int = 0
    """How many of the last ids are the beginning of the reply."""
    given: Sequence[int] = ()
    """The bytes that the first ids stand for where they were not tokenised: BOS, or a prompt that came as ids."""
    data: bytes = b""
    """The marked text…"""
    chunks: Sequence[Chunk] = ()
    """…and the ids of its parts."""


class PromptBuilder:
    """Builds prompts for one model."""

    def __init__(self, vocab: Vocab, template: ChatTemplate, replies: ReplyFormat = UNMARKED) -> None:
        """`replies`: how earlier ones divide into thinking and answer."""
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
        """The ids of text that a reply goes on with: never control tokens, as when it is part of a later prompt.

        Text that is not `continued` begins the reply, where the vocabulary puts its own space.
        """
        return self._replies.content_ids(marks.clean(text), continued=continued)

    def token_spans(self, prompt: Prompt) -> tuple[PromptToken, ...]:
        """A prompt's tokens with their pieces and the bytes of the rendered text that they stand for."""
        mapper, kept = self._mapper, prompt.ids[len(prompt.ids) - prompt.n_kept :]
        sizes = [*prompt.given, *mapper.sizes(prompt.data, prompt.chunks), *mapper.own_sizes(kept)]
        return mapper.tokens(prompt.ids, sizes)

    def remember(self, text: str, ids: Sequence[int]) -> None:
        """Notes the ids (without the end token) of a reply that was shown as `text`, for the prompts to come."""
        for part in self._format.split(marks.clean(text)):
            self._replies.remember(text, ids, part)

    def build(self, messages: Sequence[ChatMessage]) -> Prompt:
        """Renders and tokenises a branch. BOS stands in front exactly once where the model wants it; EOS never."""
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
        spans = count_spans(
            data, chunks, find_borders(data, self._template.user_opener.encode()), self._vocab, len(bos)
        )
        return Prompt(ids, spans, notices, self._strips(ids), given=given, data=data, chunks=chunks)

    def from_ids(self, ids: Sequence[int]) -> Prompt:
        """A prompt that came as ids; all of it counts as this turn."""
        spans = PromptSpans(n_turn=len(ids))
        return Prompt(list(ids), spans, strip_space=self._strips(ids), given=self._mapper.own_sizes(ids))

    def from_text(self, text: str, *, bos: bool, parse_special: bool = False) -> Prompt:
        """A text that no template is applied to, with BOS in front only where `bos` asks for it and the model wants it.

        Names of control tokens are text like other text, but for `parse_special`.
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
        """The marked text where the template lets marks through unseen, else the plain one."""
        guarded = [self._guarded(message) for message in messages]
        plain, notices = self._template.render(guarded)
        marked = self._template.render([_enclosed(message) for message in guarded]).text
        return (marked if marks.without_borders(marked) == plain else plain), notices

    def _guarded(self, message: ChatMessage) -> ChatMessage:
        """A message whose texts cannot become control tokens; a reply's thinking is taken out of its content."""
        guard, content = self._guards[message.role], marks.clean(message.content)
        if message.role is not Role.ASSISTANT:
            return ChatMessage(message.role, guard(content))
        parts = self._format.split(content)
        return ReplyMessage(message.role, guard(parts.answer), guard(parts.thinking))


def _enclosed(message: ChatMessage) -> ChatMessage:
    role, content = message.role, marks.enclose(message.role, message.content)
    return ReplyMessage(role, content, marks.enclose(role, message_thinking(message)))
