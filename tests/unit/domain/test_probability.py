"""One way to write a probability and one scale to grade it, wherever it is shown."""

from __future__ import annotations

from importlib import resources

import pytest

from app.cli.score.inspection import _look  # pyright: ignore[reportPrivateUsage] no other way
from app.domain.probability import STEPS, percent, step
from app.domain.trace import TokenTrace
from app.tui.tokens.tint import Tint, legend, mark


@pytest.mark.parametrize(
    ("p", "written"),
    [
        (0.0, "0 %"),
        (1e-9, "<0.001 %"),
        (0.0000049, "<0.001 %"),
        (0.00001, "0.001 %"),
        (0.0003, "0.03 %"),
        (0.0007, "0.07 %"),
        (0.002, "0.2 %"),
        (0.0785, "7.8 %"),
        (0.0999, "10 %"),
        (0.123, "12 %"),
        (0.5, "50 %"),
        (0.9999, "99 %"),
        (1.0, "100 %"),
    ],
)
def test_a_probability_is_written_in_one_way(p: float, written: str) -> None:
    assert percent(p) == written
    assert len(written) <= 8


@pytest.mark.parametrize(
    ("p", "place"), [(1.0, 0), (0.5, 0), (0.49, 1), (0.1, 1), (0.09, 2), (0.01, 2), (0.009, 3), (0.001, 3), (0.0, 4)]
)
def test_every_tint_has_the_same_steps(p: float, place: int) -> None:
    assert step(p) == place
    token = TokenTrace(1, "a", 0.0, p, 0.0, 1, 0.0)
    shown = [each for each in legend(Tint.PROBABILITY, 0.0) if each[1] != "text"][1:]
    assert mark(token, Tint.PROBABILITY, 0.0) == shown[place]
    looks = [_look(least) for least in (*STEPS, 0.0)]
    assert _look(p) == looks[place]


def test_the_exported_page_has_them_too() -> None:
    script = resources.files("app.cli.trace").joinpath("page_parts", "page.js").read_text(encoding="utf-8")
    assert f"at: [{', '.join(f'-{least}' for least in STEPS)}]" in script
