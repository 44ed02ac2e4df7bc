"""Compares the tokens of two runs and tells where they part."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from msgspec import Struct

from app.cli import console
from app.domain.trace import TokenTrace


class Difference(Struct, frozen=True):
    """The first place where two runs part; a token of None is a run that has ended."""

    number: int
    """Counted from 1."""
    recorded: TokenTrace | None
    computed: TokenTrace | None


class Verdict(Struct, frozen=True, kw_only=True):
    """What a comparison found."""

    n_recorded: int
    n_same: int
    """Tokens before the first difference."""
    difference: Difference | None
    max_dp: float
    """The largest difference of p among the tokens that are the same."""
    warnings: tuple[str, ...] = ()


def compare(recorded: tuple[TokenTrace, ...], computed: tuple[TokenTrace, ...], *, ended: bool) -> Verdict:
    """Finds the first difference; tokens after the recorded ones count only where the recorded run had `ended`."""
    n_same, max_dp, difference = 0, 0.0, None
    for number, (old, new) in enumerate(zip_longest(recorded, computed), 1):
        if old is None and not ended:
            break
        if old is None or new is None or old.id != new.id:
            difference = Difference(number, old, new)
            break
        n_same += 1
        max_dp = max(max_dp, abs(old.p - new.p))
    return Verdict(n_recorded=len(recorded), n_same=n_same, difference=difference, max_dp=max_dp)


def count(n: int) -> str:
    """As in `1 token`, `2 tokens`."""
    return f"{n} token{'' if n == 1 else 's'}"


def print_verdict(verdict: Verdict) -> None:
    """Tells a person."""
    difference = verdict.difference
    if difference is None:
        p = f"p differs by at most {verdict.max_dp:.2g}" if verdict.max_dp else "with the same p"
        console.print_line(f"all the same: {count(verdict.n_same)}, {p}")
        return
    console.print_line(
        f"token {difference.number} of {verdict.n_recorded} differs: "
        f"recorded {_named(difference.recorded)}, now {_named(difference.computed)}"
    )
    console.print_line(f"before it: {count(verdict.n_same)} the same, p differs by at most {verdict.max_dp:.2g}")


def _named(token: TokenTrace | None) -> str:
    return f"{token.text!r} (#{token.id}, p {token.p:.6f}, rank {token.rank})" if token else "the end"


def as_object(verdict: Verdict) -> dict[str, Any]:
    """Returns what `--json` prints."""
    difference = verdict.difference
    return {
        "same": difference is None,
        "n_recorded": verdict.n_recorded,
        "n_same": verdict.n_same,
        "max_dp": verdict.max_dp,
        "first_difference": difference
        and {
            "token": difference.number,
            "recorded": _brief(difference.recorded),
            "computed": _brief(difference.computed),
        },
        "warnings": list(verdict.warnings),
    }


def _brief(token: TokenTrace | None) -> dict[str, Any] | None:
    return token and {"id": token.id, "text": token.text, "p": token.p, "rank": token.rank}
