"""`[trace]`: what is kept of how replies came about."""

from pathlib import Path

from app.config.settings import TraceSettings, load_settings


def test_what_is_kept_is_reported_in_a_table_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    assert load_settings(path).settings.trace == TraceSettings(keep=True, max_mib=256, stages=False)
    path.write_text("[trace]\nkeep = false\nmax_mib = 2\nstages = true\n")
    trace = load_settings(path).settings.trace
    assert (trace.keep, trace.max_mib, trace.max_bytes, trace.stages) == (False, 2, 2_097_152, True)


def test_a_mistake_leaves_the_rest_of_the_table_in_force(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[trace]\nkeep = false\nmax_mib = 0\nmax_mb = 3\n")
    loaded = load_settings(path)
    assert [(p.line, p.message) for p in loaded.problems] == [
        (3, "`max_mib` must be at least 1, not 0"),
        (4, "unknown key `max_mb`"),
    ]
    assert loaded.settings.trace == TraceSettings(keep=False)


def test_a_trace_that_is_no_table_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("trace = true\n")
    (problem,) = load_settings(path).problems
    assert problem.message == "`trace` must be a table, as in `[trace]`"
