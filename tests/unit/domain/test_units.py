"""How figures are written: each unit in one place, a dash for what is unknown."""

import pytest

from app.domain import units


@pytest.mark.parametrize(
    ("n_bytes", "written"),
    [
        (None, "–"),
        (0, "–"),
        (1, "1 KiB"),
        (2048, "2 KiB"),
        (1 << 20, "1.0 MiB"),
        (94 << 20, "94 MiB"),
        (1023 << 20, "1023 MiB"),
        (1 << 30, "1.0 GiB"),
        (4_400_000_000, "4.1 GiB"),
    ],
)
def test_size(n_bytes: int | None, written: str) -> None:
    assert units.size(n_bytes) == written


@pytest.mark.parametrize(
    ("value", "written"), [(None, "–"), (0.5, "0.50 ms"), (8.0, "8.0 ms"), (1234.0, "1234 ms"), (12_345.0, "12.3 s")]
)
def test_duration(value: float | None, written: str) -> None:
    assert units.ms(value) == written


def test_speed() -> None:
    assert (units.rate(None), units.rate(12.34), units.rate(1000.0)) == ("– tok/s", "12.3 tok/s", "1000 tok/s")
