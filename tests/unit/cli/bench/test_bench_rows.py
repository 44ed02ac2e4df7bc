"""Rows, their file, the comparison, the bars and the figures of one request: arithmetic and text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.cli.bench.probe import Run
from app.cli.bench.report import bars, figure, progress
from app.cli.bench.rows import MS, RATE, RATIO, BenchRow, Report, ratio, read_report
from app.domain.errors import UsageError

ROWS = (
    BenchRow(suite="basic", name="pp512", unit=RATE, values=(390.0, 400.0, 410.0), note="a note"),
    BenchRow(suite="basic", name="tg128", unit=RATE, values=(100.0,)),
    BenchRow(suite="basic", name="TTFT", unit=MS, values=(20.0, 40.0)),
    BenchRow(suite="basic", name="share", unit=RATIO, values=(0.98,)),
    BenchRow(suite="reuse", name="resume", unit=MS, missing="no files"),
)
REPORT = Report(environment={"model": "M"}, rows=ROWS)


def test_mean_and_sample_deviation() -> None:
    assert (ROWS[0].mean, ROWS[0].sd, ROWS[0].median) == (400.0, 10.0, 400.0)
    assert (ROWS[1].mean, ROWS[1].sd) == (100.0, 0.0)


def test_a_report_comes_back_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(json.dumps(REPORT.as_object()), encoding="utf-8")
    assert read_report(path) == REPORT
    assert REPORT.as_object()["rows"][0]["sd"] == 10.0
    assert "mean" not in REPORT.as_object()["rows"][4]


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"format": 9, "environment": {}, "rows": []}'])
def test_what_is_no_report_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "r.json"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"r\.json"):
        read_report(path)
    with pytest.raises(UsageError, match="cannot read"):
        read_report(tmp_path / "none.json")


def test_a_ratio_says_how_much_better() -> None:
    def row(unit: str, *values: float) -> BenchRow:
        return BenchRow(suite="s", name="n", unit=unit, values=values)

    assert ratio(row(RATE, 220.0), row(RATE, 200.0)) == pytest.approx(1.1)
    assert ratio(row(MS, 20.0), row(MS, 30.0)) == pytest.approx(1.5)
    assert ratio(row(RATE, 1.0), None) is None
    assert ratio(row(RATE, 1.0), row(MS, 1.0)) is None
    assert ratio(row(RATE), row(RATE, 1.0)) is None
    assert ratio(row(RATE, 1.0), row(RATE, 0.0)) is None
    assert ratio(row(MS, -1.5), row(MS, 0.5)) is None
    assert ratio(row(MS, -1.5), row(MS, -0.5)) is None
    before = Report(environment={}, rows=(BenchRow(suite="basic", name="tg128", unit=RATE, values=(50.0,)),))
    assert [row["vs_before"] for row in REPORT.as_object(before)["rows"]] == [None, 2.0, None, None, None]


@pytest.mark.parametrize("n_columns", [10, 24, 40, 80, 200])
def test_bars_keep_to_the_width(n_columns: int) -> None:
    lines = list(bars(ROWS, n_columns))
    assert all(len(line) <= n_columns for line in lines)
    assert len(lines) == (4 if n_columns > 10 else 0)


def test_a_plot_of_forty_columns() -> None:
    assert list(bars(ROWS, 40)) == [
        "",
        "basic, tokens/s",
        f"pp512  {'█' * 24}  400.0",
        f"tg128  {'█' * 6}{' ' * 18}  100.0",
    ]


def test_a_single_rate_has_no_plot() -> None:
    assert list(bars(ROWS[1:], 80)) == []


def test_figures_and_progress_for_people() -> None:
    assert [figure(value) for value in (1234.5, 99.94, 9.994, 0.5)] == ["1234", "99.9", "9.99", "0.50"]
    assert [progress(row) for row in ROWS[2:]] == [
        "basic: TTFT: 30.0 ms",
        "basic: share: 0.98×",
        "reuse: resume: not available: no files",
    ]


def test_a_rate_counts_from_the_first_tokens_to_the_end() -> None:
    run = Run(arrivals=[(0.5, 2), (1.0, 3), (1.4, 5)], finished_s=1.5)
    assert (run.ttft_s, run.rate) == (0.5, 8.0)
    assert Run(arrivals=[(0.5, 2)], finished_s=1.5).rate == 0.0
    assert Run(finished_s=1.5).ttft_s == 1.5
