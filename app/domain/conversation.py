"""Conversations: a tree of immutable messages and a tip, the leaf of the path that is shown.

Knows no SQL: `app.store` keeps these values, `app.session` applies the rules of a turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from app.domain.generation import FinishReason, Stop, Thinking, Timings, Usage
from app.domain.sampling import Preset


class Role(StrEnum):
    """Who wrote a message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


class ReplyState(StrEnum):
    """State of a message. User and system messages are always DONE."""

    STREAMING = "streaming"
    DONE = "done"
    STOPPED = "stopped"
    """Aborted by the user: the text so far is kept."""
    INTERRUPTED = "interrupted"
    """The app or the engine died while it streamed: the text so far is kept."""
    FAILED = "failed"


Attachments = tuple[()]
"""What a message carries beside its text: no kinds exist yet, so that this is always empty."""


class UserMessage(Struct, frozen=True):
    """What a person sends, from the composer to the engine's prompt builder."""

    text: str
    attachments: Attachments = ()


class GenerationRecord(Struct, frozen=True, kw_only=True):
    """What is stored with a reply: model and preset, why it ended, counts and durations."""

    model: str
    preset: str
    seed: int
    finish_reason: FinishReason
    stop: Stop | None = None
    usage: Usage = Usage()
    timings: Timings = Timings()
    error: str = ""
    n_dropped_messages: int = 0
    """Oldest messages that did not fit and were left out of the prompt."""
    n_dropped_tokens: int = 0
    n_shifted_tokens: int = 0
    """Tokens that were forgotten to make room for the reply."""
    incomplete: bool = False
    """Whether the reply ended inside its grammar."""


class Message(Struct, frozen=True, kw_only=True):
    """One row of the tree. Its content never changes once its state has left STREAMING."""

    id: int
    conversation_id: int
    parent_id: int | None
    role: Role
    content: str
    created_ms: int
    """Milliseconds since the epoch; order is given by `id`, never by time."""
    state: ReplyState = ReplyState.DONE
    generation: GenerationRecord | None = None
    attachments: Attachments = ()
    thinking: Thinking | None = None
    """Where a reply's thinking is in `content`; None if it has none."""

    @property
    def answer(self) -> str:
        """The content without the thinking before it."""
        return self.content[self.thinking.answer :] if self.thinking else self.content

    @property
    def is_cut_short(self) -> bool:
        """Whether it is a reply that something else than the model ended: the user, a limit or a failure."""
        if self.role is not Role.ASSISTANT or self.state is ReplyState.STREAMING:
            return False
        by_limit = self.generation and self.generation.finish_reason in (FinishReason.LENGTH, FinishReason.CONTEXT)
        return self.state is not ReplyState.DONE or bool(by_limit)


class ConversationKind(StrEnum):
    """Whether a conversation belongs to the chat or to `tok ask`."""

    CHAT = "chat"
    ASK = "ask"
    """A question of `tok ask` that was never continued in the chat."""


class ChatSettings(Struct, frozen=True, kw_only=True):
    """Model, preset and system prompt of a conversation. Stored by value: editing a preset does not change it."""

    model: str = ""
    """As for `-m`, paths absolute; empty if unknown."""
    preset: Preset
    system: str | None = None
    """System prompt in place of the preset's; empty sends none, None uses the preset's."""

    @property
    def effective(self) -> Preset:
        """The preset with the conversation's system prompt."""
        return self.preset if self.system is None else replace(self.preset, system=self.system or None)


class Conversation(Struct, frozen=True, kw_only=True):
    """A stored tree of messages and the tip: the leaf of the branch that is shown."""

    id: int
    title: str
    tip_id: int | None
    created_ms: int
    updated_ms: int
    n_messages: int = 0
    kind: ConversationKind = ConversationKind.CHAT
    settings: ChatSettings | None = None
    """None if they were never stored; each reply's `GenerationRecord` still names its own."""
    deleted_ms: int | None = None
    """When it was deleted, while that can still be undone."""


def prompts(branch: Sequence[Message]) -> list[str]:
    """Returns the text of the user's messages, oldest first, for the composer's history."""
    return [message.content for message in branch if message.role is Role.USER]


def n_tokens(branch: Sequence[Message], model: str) -> int | None:
    """Returns the tokens of a conversation after its last reply; None if another model counted them."""
    if not branch:
        return 0
    record = next((message.generation for message in reversed(branch) if message.role is Role.ASSISTANT), None)
    if record is None or record.model != model:
        return None
    return record.usage.n_prompt + record.usage.n_generated - record.n_shifted_tokens


def as_markdown(title: str, branch: Sequence[Message]) -> str:
    """Returns a conversation as one Markdown document."""
    names = {Role.USER: "You", Role.ASSISTANT: "Model", Role.SYSTEM: "System"}
    parts = [f"# {title}"]
    parts += [f"## {names[message.role]}\n\n{message.content.strip()}" for message in branch]
    return "\n\n".join(parts) + "\n"
