"""Whatever is wrong in a file, the caret stands on the offending key, all mistakes come at once, nothing is raised."""

import os
import random
import re
from pathlib import Path

import pytest

from app.config.document import MAX_PROBLEMS
from app.config.problems import Problem
from app.config.settings import Settings, load_settings

GOOD = """\
# my settings
model = "smollm2"
preset = "mine"
theme = "paper"
models_dir = "/models"
trace_top_k = 5
show_panels = false
fps = 30

[trace]
keep = false
max_mib = 64
stages = true

[keys]
halt = "ctrl+x"

[presets.mine]
based_on = "balanced"
description = "for me"
system = '''
theme = "no key"
'''
temperature = 0.5
top_k = 20
min_p = 0.1
repeat_penalty = 1.2
dry_multiplier = 0.8
seed = 42
max_tokens = 100
stop = [ "a", "b" ] # done
"""
KEYS = [
    m for m in re.finditer(r"^([a-z_]+) =", GOOD, re.MULTILINE) if '"no key"' not in GOOD[m.start() : m.start() + 24]
]
CHECKED = [m for m in KEYS if "[keys]\n" not in GOOD[m.start() - 7 : m.start()]]
FORMS = {
    "plain": lambda text: text.encode(),
    "crlf": lambda text: text.replace("\n", "\r\n").encode(),
    "bom": lambda text: b"\xef\xbb\xbf" + text.encode(),
}


def problems_of(tmp_path: Path, raw: str | bytes) -> list[Problem]:
    path = tmp_path / "config.toml"
    path.write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    return load_settings(path).problems


def underlined(problem: Problem) -> str:
    return problem.source_line[problem.column - 1 : problem.column - 1 + problem.span]


def edited(key: str, draw: random.Random) -> str:
    """`key` with one letter left out, doubled, changed, or swapped with the next."""
    at = draw.randrange(len(key))
    other = draw.choice("abcdefghijklmnopqrstuvwxyz")
    kind = draw.randrange(4)
    swapped = key[:at] + key[at + 1 : at + 2] + key[at] + key[at + 2 :]
    return [key[:at] + key[at + 1 :], key[:at] + other + key[at:], key[:at] + other + key[at + 1 :], swapped][kind]


def test_the_base_is_good(tmp_path: Path) -> None:
    for form in FORMS.values():
        assert problems_of(tmp_path, form(GOOD)) == []


@pytest.mark.parametrize("form", FORMS)
def test_typos(tmp_path: Path, form: str) -> None:
    draw = random.Random(form)
    valid = {m[1] for m in KEYS}
    n_typos = n_right = 0
    for _ in range(12):
        for match in CHECKED:
            typo = edited(match[1], draw)
            if typo in valid or typo == "" or (f"\n{typo} =" in GOOD):
                continue
            text = GOOD[: match.start(1)] + typo + GOOD[match.end(1) :]
            found = [p for p in problems_of(tmp_path, FORMS[form](text)) if "unknown key" in p.message]
            assert [(underlined(p), p.line) for p in found] == [(typo, text.count("\n", 0, match.start()) + 1)]
            n_typos += 1
            n_right += found[0].suggestion == match[1]
    assert n_typos > 150
    assert n_right / n_typos >= 0.9


WRONG = {
    "model": ["3", "true", "[]"],
    "preset": ['"balancd"', "1.5", "{}"],
    "theme": ["1", "[1]", "1979-05-27"],
    "trace_top_k": ["-1", "101", '"5"', "5.5", "true", "99999999999999999999999"],
    "show_panels": ["1", '"yes"'],
    "fps": ["0", "121", "inf"],
    "keep": ["1", '"no"'],
    "max_mib": ["0", "1.5", "1048577"],
    "stages": ["1", '"yes"'],
    "based_on": ['"mine"', '"nowhere"', "1"],
    "temperature": ["-0.1", "101", '"hot"', "nan", "inf", "true"],
    "top_k": ["-1", "1.5", "[40]"],
    "min_p": ["1.01", "-1", "nan"],
    "repeat_penalty": ["0", "11"],
    "dry_multiplier": ["-1", "-inf"],
    "seed": ["-1", "4294967295", "1.0"],
    "max_tokens": ["0", '"many"', "{ a = 1 }"],
    "stop": ['"a"', "[1]", '["a", []]', "[[]]"],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in WRONG.items() for value in values])
def test_wrong_values(tmp_path: Path, key: str, value: str) -> None:
    text = re.sub(rf"^{key} = [^'\n]*$", lambda _: f"  {key} = {value}", GOOD, count=1, flags=re.MULTILINE)
    assert text != GOOD
    (problem,) = problems_of(tmp_path, text)
    assert (underlined(problem), problem.column) == (key, 3)
    assert f"`{value.strip(chr(34))}`" in problem.message or f"`{key}`" in problem.message


def test_all_at_once_and_the_good_parts_are_used(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    bad = re.sub(r"^(trace_top_k|fps|temperature|top_k|seed) = .*$", r"\1 = 'x'", GOOD, flags=re.MULTILINE)
    path.write_text(bad.replace("theme", "tehme"))
    loaded = load_settings(path)
    assert [underlined(p) for p in loaded.problems] == ["tehme", "trace_top_k", "fps", "temperature", "top_k", "seed"]
    settings = loaded.settings
    assert (settings.theme, settings.trace_top_k, settings.fps) == ("auto", 40, None)
    assert (settings.preset, settings.model, settings.show_panels) == ("mine", "smollm2", False)
    sampling = settings.presets["mine"].sampling
    assert (sampling.temperature, sampling.top_k, sampling.min_p, sampling.repeat_penalty) == (0.8, 40, 0.1, 1.2)


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("a = \n", 1, 4, "invalid value"),
        ('model = "x\n', 1, 11, "illegal character"),
        ("fps = 30\nfps = 40\n", 2, 1, "`fps` is defined twice"),
        ("[keys]\na = 'b'\n[keys]\n", 3, 2, "`keys` is defined twice"),
        ("[presets]\nx = {seed = 1, seed = 2}\n", 2, 16, "`seed` is defined twice"),
        ("fps = 30\n[fps.x]\n", 2, 6, "`x` is defined twice"),
        ("fps = 3 0", 1, 9, "expected newline"),
        ("fps", 1, 4, "expected '='"),
        ("a = [1,\n2\nb = 3", 3, 1, "unclosed array"),
        ("x = " + "9" * 6000, 1, 1, "too many digits"),
        ("x = " + "[" * 4000 + "]" * 4000, 1, 1, "nested too deeply"),
        ("a = 1\n\x00", 2, 1, "invalid statement"),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_syntax(tmp_path: Path, text: str, line: int, column: int, message: str, newline: str) -> None:
    (problem,) = problems_of(tmp_path, text.replace("\n", newline))
    assert message in problem.message
    assert (problem.line, problem.column) == (line, column)


def test_latin_1_is_reported_with_its_place(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, 'fps = 30\ntheme = "café"\n'.encode("latin-1"))
    assert (problem.line, problem.column, problem.source_line) == (2, 13, 'theme = "café"')
    assert "not UTF-8" in problem.message


def test_ten_megabytes_a_folder_and_a_missing_file(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, b"#" * (10 << 20))
    assert "longer than 1 MiB" in problem.message
    (problem,) = load_settings(tmp_path).problems
    assert "cannot be read" in problem.message
    loaded = load_settings(tmp_path / "no.toml")
    assert (loaded.settings, loaded.problems) == (Settings(), [])


def test_a_pipe_in_the_place_of_the_file_is_a_problem_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.toml")
    (problem,) = load_settings(tmp_path / "config.toml").problems
    assert (problem.file, problem.message) == (
        tmp_path / "config.toml",
        "cannot be read: it is a pipe, not a regular file",
    )


@pytest.mark.parametrize("text", ["keys = 3", "presets = []", "presets.a = 1", "[keys]\nstop = 1", "[keys]\nstop = ''"])
def test_tables_that_are_none(tmp_path: Path, text: str) -> None:
    (problem,) = problems_of(tmp_path, text)
    assert underlined(problem) in {"keys", "presets", "a", "stop"}


def test_a_file_of_nothing_but_mistakes_is_not_searched_to_its_end(tmp_path: Path) -> None:
    assert len(problems_of(tmp_path, "".join(f"key{i} = {i}\n" for i in range(20_000)))) == MAX_PROBLEMS


def test_random_damage_never_raises(tmp_path: Path) -> None:
    draw = random.Random(60)
    for _ in range(300):
        raw = bytearray(GOOD.encode())
        for _ in range(draw.choice((1, 3, 10))):
            at = draw.randrange(len(raw))
            raw[at : at + draw.randrange(3)] = draw.choice(
                (b'"', b"[", b"}", b"\n", b"=", b"\xff", b"'''", b".", b"\0")
            )
        for problem in problems_of(tmp_path, bytes(raw)):
            assert problem.line >= 1
            assert problem.column <= len(problem.source_line) + 1
