"""What the inspector is left with when somebody wants the reply to go on differently."""

from __future__ import annotations

from msgspec import Struct

from app.domain.conversation import Message


class ForkWanted(Struct, frozen=True):
    """A sibling of a reply: its first tokens kept, then what is forced, then whatever is sampled."""

    message: Message
    n_tokens: int
    """How many of the reply's tokens are kept."""
    force_ids: tuple[int, ...] = ()
    """Tokens that come next…"""
    text: str = ""
    """…or text, tokenised as content."""
