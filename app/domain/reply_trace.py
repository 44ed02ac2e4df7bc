"""All that is kept of how one reply came about: the trace of each of its tokens, and what it was made from."""

from __future__ import annotations

from itertools import accumulate

from msgspec import Struct

from app.domain.generation import CellSpan, DraftCounts
from app.domain.sampling import SamplingParams
from app.domain.trace import PromptToken, TokenTrace


class ReplyTrace(Struct, frozen=True, kw_only=True):
    """Grows while the reply streams; the bytes of `tokens` lie side by side in the reply's content."""

    tokens: tuple[TokenTrace, ...] = ()
    prompt: tuple[PromptToken, ...] = ()
    """What was really sent: the rendered template; empty where it was not asked for."""
    n_cached: int = 0
    """How many of the prompt's tokens were in the KV cache already."""
    sampling: SamplingParams = SamplingParams()
    seed: int = 0
    cells: tuple[CellSpan, ...] = ()
    drafting: DraftCounts | None = None
    n_kept: int = 0
    """How many of the first tokens come from an older reply: they are also the last ones of the prompt."""

    def ends(self) -> list[int]:
        """Where each token's bytes end in the UTF-8 of the reply's content."""
        return list(accumulate(token.n_bytes for token in self.tokens))


def text_before(content: str, trace: ReplyTrace, n_tokens: int) -> str:
    """The text of a reply's first `n_tokens` tokens."""
    end = sum(token.n_bytes for token in trace.tokens[:n_tokens])
    return content.encode()[:end].decode("utf-8", "ignore")
