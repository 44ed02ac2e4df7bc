"""Formats and grades probabilities the same way in the chat, on the command line and in the exported page."""

from __future__ import annotations

STEPS = (0.5, 0.1, 0.01, 0.001)
"""Lower bounds of the tint's steps: step 0 is the first and above, step 4 is below the last."""


def step(p: float) -> int:
    """Returns the step of a probability, 0 (likely) to 4 (hardly possible)."""
    return sum(p < least for least in STEPS)


def percent(p: float) -> str:
    """Returns a probability in percent, with two digits if they matter; 0 and 100 only for exact values."""
    share = 100 * p
    if share <= 0:
        return "0 %"
    if share < 0.0005:
        return "<0.001 %"
    if share >= 9.95:
        return f"{min(share, 99):.0f} %" if share < 100 else "100 %"
    n_decimals = 1 if share >= 0.095 else 2 if share >= 0.0095 else 3
    return f"{share:.{n_decimals}f} %"
