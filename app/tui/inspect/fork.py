"""What the inspector asks for when another token is wanted in a reply."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.conversation import Message


@dataclass(frozen=True)
class ForkWanted:
    """Another version of `message`: its first `n_tokens` tokens, then what is forced, then what the model writes."""

    message: Message
    n_tokens: int
    force_ids: tuple[int, ...] = ()
    text: str = ""
    """Forced after `force_ids`."""
