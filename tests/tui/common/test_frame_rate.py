"""How often the screen is drawn."""

from __future__ import annotations

import pytest

from app.protocol.events import LayerPlacement
from app.tui.common.frame_rate import flush_interval_s, next_delay_s
from tests.fakes.engine_events import make_ready

CPU = make_ready(placement=(LayerPlacement("CPU", 31),))
GPU = make_ready(placement=(LayerPlacement("CUDA0", 31),))
SPLIT = make_ready(placement=(LayerPlacement("CPU", 10), LayerPlacement("CUDA0", 21)))


def test_where_it_runs() -> None:
    assert [model.on_cpu for model in (CPU, GPU, SPLIT)] == [True, False, False]


@pytest.mark.parametrize(
    ("model", "fps", "expected"), [(CPU, None, 1 / 14), (GPU, None, 1 / 30), (None, None, 1 / 30), (CPU, 20, 1 / 20)]
)
def test_flush_interval(model: object, fps: int | None, expected: float) -> None:
    assert flush_interval_s(model, fps) == expected  # pyright: ignore[reportArgumentType] parametrised


def test_a_slow_flush_makes_itself_rarer() -> None:
    assert next_delay_s(0.05, 0.01) == 0.05
    assert next_delay_s(0.05, 0.1) == pytest.approx(0.3)
