from pathlib import Path

from app.config.problems import Problem, nearest, render, summary


def problem(source: str, column: int, span: int, **more: str) -> Problem:
    path = Path("/etc/config.toml")
    return Problem(file=path, line=3, column=column, key="k", message="is wrong", source_line=source, span=span, **more)


def test_render_puts_the_caret_under_the_key() -> None:
    assert render([problem("  tempo = 1", 3, 5, suggestion="tempa")]) == (
        "/etc/config.toml:3:3: is wrong; did you mean `tempa`?\n    3 |   tempo = 1\n      |   ^^^^^"
    )


def test_carets_under_wide_and_hostile_text() -> None:
    lines = render([problem('"日本" = {a\x1b = 1}', 9, 2)]).splitlines()
    assert lines[1:] == ['    3 | "日本" = {a␛ = 1}', "      |           ^^"]
    assert render([problem("\tkey = 1", 2, 3)]).splitlines()[1:] == ["    3 |  key = 1", "      |  ^^^"]


def test_a_long_line_is_cut_around_the_caret() -> None:
    lines = render([problem("x" * 5000 + "KEY" + "y" * 5000, 5001, 3)]).splitlines()
    assert len(lines[1]) < 120
    start = lines[2].index("^")
    assert lines[1][start : start + 3] == "KEY"


def test_a_problem_of_the_whole_file_has_no_caret() -> None:
    whole = Problem(file=Path("a.toml"), line=0, column=0, key="", message="cannot be read: no permission")
    assert render([whole, whole]) == "a.toml: cannot be read: no permission\n\na.toml: cannot be read: no permission"


def test_summary_is_one_safe_line() -> None:
    assert summary(problem("k", 1, 1, suggestion="a\x1b\nb")) == "config.toml:3: is wrong; did you mean `a␛ b`?"


def test_nearest() -> None:
    valid = ["temperature", "top_k", "fps"]
    assert nearest("temprature", valid) == "temperature"
    assert nearest("FPS", valid) == "fps"
    assert nearest("zzzzzz", valid) == ""
