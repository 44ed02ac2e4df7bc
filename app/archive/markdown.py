"""A conversation as one Markdown document: front matter, then the branch that is shown."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from app.domain.archive import ArchivedConversation
from app.domain.conversation import Message, Role

NAMES = {Role.USER: "You", Role.ASSISTANT: "Model", Role.SYSTEM: "System"}


def as_markdown(conversation: ArchivedConversation) -> str:
    """Returns the document; front matter is YAML, its strings are quoted as in JSON."""
    head = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in facts(conversation).items()]
    parts = ["\n".join(["---", *head, "---"]), f"# {' '.join(conversation.title.split())}"]
    parts += [f"## {heading(message)}\n\n{message.content.strip()}" for message in conversation.branch]
    return "\n\n".join(parts) + "\n"


def facts(conversation: ArchivedConversation) -> dict[str, Any]:
    """Returns the front matter: what answered last, and the figures of the branch together."""
    replies = [message.generation for message in conversation.branch if message.generation]
    settings = conversation.settings
    found: dict[str, Any] = {
        "title": conversation.title,
        "created": _utc(conversation.created_ms),
        "updated": _utc(conversation.updated_ms),
        "model": replies[-1].model if replies else settings.model if settings else "",
        "preset": replies[-1].preset if replies else settings.preset.name if settings else "",
        "messages": len(conversation.branch),
    }
    if settings and settings.effective.system:
        found["system"] = settings.effective.system
    if replies:
        found["seed"] = replies[-1].seed
        found["prompt_tokens"] = sum(record.usage.n_prompt for record in replies)
        found["generated_tokens"] = sum(record.usage.n_generated for record in replies)
        found["decode_ms"] = round(sum(record.timings.decode_ms for record in replies))
    return found


def heading(message: Message) -> str:
    """Returns who wrote a message, and how a reply ended if it did not end by itself."""
    state = message.state.value
    return NAMES[message.role] if state == "done" else f"{NAMES[message.role]} ({state})"


def _utc(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds")
