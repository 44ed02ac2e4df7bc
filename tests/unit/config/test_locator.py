import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.config.locator import last_key, locate_keys

TEXT = '''\
# comment = "no key"
plain = 1
"quoted key" = 'a # no comment' # a comment
dotted.inner . "third" = [1, 2, { deep = 3, "x.y" = [ { z = 1 } ] }]
multi = """
fake = 1
[fake]
\\""" still = 2
"""
literal = \'\'\'
fake = 2\'\'\'\'
inline = { a = 1, b = { c = "}" }, d = [] }
list = [
  "]", # ]
  { e = 1 },
]

[table]
a = 1979-05-27T07:32:00Z
[ table . "sub table" ]
b = "\\u0041\\"= "
[[many]]
n = 1
[[many]]
n = 2
[many.child]
m = 3
'''


def places(text: str) -> dict[tuple, str]:
    return {
        path: f"{text.count(chr(10), 0, s.start) + 1}:{text[s.start : s.end]}" for path, s in locate_keys(text).items()
    }


def test_every_kind_of_key() -> None:
    tomllib.loads(TEXT)
    found = places(TEXT)
    expected = {
        ("plain",): "2:plain",
        ("quoted key",): '3:"quoted key"',
        ("dotted",): "4:dotted",
        ("dotted", "inner"): "4:inner",
        ("dotted", "inner", "third"): '4:"third"',
        ("dotted", "inner", "third", 2, "deep"): "4:deep",
        ("dotted", "inner", "third", 2, "x.y"): '4:"x.y"',
        ("dotted", "inner", "third", 2, "x.y", 0, "z"): "4:z",
        ("multi",): "5:multi",
        ("literal",): "10:literal",
        ("inline",): "12:inline",
        ("inline", "b", "c"): "12:c",
        ("inline", "d"): "12:d",
        ("list", 1, "e"): "15:e",
        ("table",): "18:table",
        ("table", "a"): "19:a",
        ("table", "sub table"): '20:"sub table"',
        ("table", "sub table", "b"): "21:b",
        ("many",): "22:many",
        ("many", 0, "n"): "23:n",
        ("many", 1, "n"): "25:n",
        ("many", 1, "child"): "26:child",
        ("many", 1, "child", "m"): "27:m",
    }
    assert {key: found.get(key) for key in expected} == expected
    assert not any("fake" in key for key in found)


def test_crlf_gives_the_same_keys() -> None:
    assert list(locate_keys(TEXT.replace("\n", "\r\n"))) == list(locate_keys(TEXT))


@pytest.mark.parametrize(("text", "key"), [("a=1\nb=2\na", "b"), ("[x]\n[y.z", "z"), ("", ""), ("t={a=1,b=2", "b")])
def test_last_key(text: str, key: str) -> None:
    span = last_key(text)
    assert text[span.start : span.end] == key


def paths_of(value: object, at: tuple = ()) -> set[tuple]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {path for key, inner in items for path in [(*at, key), *paths_of(inner, (*at, key))]}


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([*TEXT.splitlines(), 'k = "a\\\\"', "[q.'w']", "z.y = {}", "w = '''x'''", "e = -1.5e3"]))
)
def test_valid_toml_is_located_completely(lines: list[str]) -> None:
    text = "\n".join(lines)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        locate_keys(text)  # ends, and does not raise
        return
    assert paths_of(data) <= set(locate_keys(text))


@settings(deadline=None)
@given(st.text("ab.=[]{}\"'#\\\n\r ,1"))
def test_any_text_ends(text: str) -> None:
    locate_keys(text)
    try:
        data = tomllib.loads(text)
    except ValueError:
        return
    assert paths_of(data) <= set(locate_keys(text))
