"""What a bench yields: rows of repeated figures with the environment that they belong to, and their file."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from app.domain.errors import UsageError

FORMAT = 1
RATE = "tokens/s"
MS = "ms"
RATIO = "×"


class BenchRow(Struct, frozen=True, kw_only=True):
    """One figure, measured `len(values)` times; none where `missing` says why it cannot be had."""

    suite: str
    name: str
    unit: str
    """`tokens/s` and `×`: more is better; `ms`: less is."""
    values: tuple[float, ...] = ()
    note: str = ""
    missing: str = ""

    @property
    def mean(self) -> float:
        """Raises StatisticsError where nothing was measured."""
        return statistics.fmean(self.values)

    @property
    def median(self) -> float:
        """Raises StatisticsError where nothing was measured."""
        return statistics.median(self.values)

    @property
    def sd(self) -> float:
        """Sample standard deviation; 0 of a single value."""
        return statistics.stdev(self.values) if len(self.values) > 1 else 0.0


class Report(Struct, frozen=True, kw_only=True):
    """A whole run."""

    environment: dict[str, Any]
    rows: tuple[BenchRow, ...]
    format: int = FORMAT

    def as_object(self, before: Report | None = None) -> dict[str, Any]:
        """What `--json` prints; `read_report` reads it back. With `before` each row has its ratio to that run's."""
        known = before.by_name() if before else {}
        rows: list[dict[str, Any]] = []
        for row in self.rows:
            figures: dict[str, Any] = {"mean": row.mean, "sd": row.sd, "median": row.median} if row.values else {}
            if before:
                figures["vs_before"] = ratio(row, known.get((row.suite, row.name)))
            rows.append(msgspec.to_builtins(row) | figures)
        return {"format": self.format, "environment": self.environment, "rows": rows}

    def by_name(self) -> dict[tuple[str, str], BenchRow]:
        """The rows by suite and name."""
        return {(row.suite, row.name): row for row in self.rows}


def read_report(path: Path) -> Report:
    """Reads what `--json` printed. Raises UsageError where the file is missing or none of ours."""
    try:
        report = msgspec.json.decode(path.read_bytes(), type=Report)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not a report of `tok bench --json`: {error}") from error
    if report.format != FORMAT:
        raise UsageError(f"{path} has format {report.format}, this tokscope reads {FORMAT}")
    return report


def ratio(row: BenchRow, before: BenchRow | None) -> float | None:
    """How many times better than before: above 1 is faster, whatever the unit. None if unknown:
    a difference of two measurements may come out at 0 or below."""
    if before is None or before.unit != row.unit or not (row.values and before.values):
        return None
    better, worse = (before.mean, row.mean) if row.unit == MS else (row.mean, before.mean)
    return better / worse if min(better, worse) > 0 else None
