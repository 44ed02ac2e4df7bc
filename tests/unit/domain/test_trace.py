from __future__ import annotations

from app.domain.trace import StageTrace, TopToken, cuts

TOP = tuple(TopToken(n, str(n), 0.3) for n in range(3))


def test_each_stage_has_what_it_cut_and_nothing_that_was_cut_before() -> None:
    stages = (
        StageTrace("penalties", 9, 9, (0.5, 0.3, 0.2)),
        StageTrace("top-k", 9, 2, (0.6, 0.4, 0.0)),
        StageTrace("min-p", 2, 1, (0.0, 1.0, 0.0)),
        StageTrace("dist", 1, 1, (0.0, 1.0, 0.0)),
    )
    assert cuts(TOP, stages) == [[], [TOP[2]], [TOP[0]], []]
    assert cuts((), stages) == [[], [], [], []]
    assert cuts(TOP, ()) == []
