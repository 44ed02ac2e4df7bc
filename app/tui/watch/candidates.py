"""What could have come in place of a token. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.trace import TokenTrace, TopToken


@dataclass(frozen=True)
class Candidate:
    """One of the tokens that could have come next."""

    token: TopToken
    chosen: bool
    rank: int


def candidates_of(token: TokenTrace | None, limit: int) -> tuple[Candidate, ...]:
    """The `limit` likeliest in a token's place, best first; a chosen one not among them takes the last place."""
    if token is None or limit < 1:
        return ()
    rows = [Candidate(top, top.id == token.id, rank) for rank, top in enumerate(token.top[:limit], 1)]
    if not any(row.chosen for row in rows):
        chosen = Candidate(TopToken(token.id, token.text, token.p), True, token.rank)
        rows = [*rows[: limit - 1], chosen]
    return tuple(rows)
