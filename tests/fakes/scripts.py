"""The script of an engine: `Reply` for a request, `Load` for a load."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.domain.generation import CellSpan, DraftCounts, FinishReason, PromptSpans, Stop
from app.domain.trace import Prediction, PromptToken, TokenTrace
from app.protocol.events import EngineLost, LoadFailed, ModelReady
from tests.fakes.engine_events import EOG

RANKS = (1, 1, 2, 1, 3)
"""The rank of a reply's n-th token, over and over."""


def pieces(text: str) -> tuple[str, ...]:
    """Cuts a text into words that carry their leading blanks, as a tokenizer does; joined they are the text again."""
    return tuple(re.findall(r"\s*\S+|\s+$", text))


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What one `Generate` does. `pieces` are the tokens' texts, one a token."""

    pieces: Sequence[str] = ()
    tokens: Sequence[TokenTrace] = ()
    """In place of `pieces`: the very traces; a token without bytes shows no text."""
    finish: FinishReason = FinishReason.STOP
    stop: Stop | None = EOG
    """Kept only with FinishReason.STOP. An `eog` adds one more token without text, as an engine does."""
    n_prompt: int = 20
    n_cached: int = 0
    spans: PromptSpans | None = None
    prompt: Sequence[PromptToken] = ()
    """The tokens of `PromptRendered`; empty is `make_prompt(n_prompt)`."""
    predictions: Sequence[Prediction] = ()
    """The predictions of each `Paused`, in order; after them come geometric ones."""
    n_prefill_steps: int = 1
    token_ms: float = 10.0
    seed: int = 42
    error: str = ""
    hint: str = ""
    dies_after: int | None = None
    """Tokens after which the engine is lost; 0 is right after the prefill."""
    trimmed: tuple[int, int] | None = None
    """Messages and tokens that do not fit the window."""
    n_shifted: int = 0
    """Tokens that the window forgets after the reply's first token."""
    drafting: DraftCounts | None = None
    cells: tuple[CellSpan, ...] = ()
    accounts: Mapping[int, tuple[CellSpan, ...]] = field(default_factory=dict[int, tuple[CellSpan, ...]])
    """The cells of each `CellsReported`, by the number of tokens before it."""
    notices: tuple[str, ...] = ()
    incomplete: bool = False
    held_by: tuple[int, ...] = ()
    """The paused requests that it has to wait for at first."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What one `load` does: progress, then `outcome` (None is `make_ready` of the path that was asked for)."""

    steps: Sequence[float] = (0.0, 0.5, 1.0)
    outcome: ModelReady | LoadFailed | EngineLost | None = None


def reply(text: str, **changes: Any) -> Reply:
    """A whole reply with this text."""
    return Reply(pieces=pieces(text), **changes)
