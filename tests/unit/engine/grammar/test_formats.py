"""Formats are enforced."""

from __future__ import annotations

import pytest

from tests.fakes.byte_vocab import accepts, matcher


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("date", ["2024-02-29", "2000-02-29", "1963-06-19"], ["2023-02-29", "2100-02-29", "2024-13-01", "24-01-01"]),
        ("time", ["08:30:06Z", "23:59:60Z", "01:29:60+01:30"], ["08:30:06", "22:59:60Z", "24:00:00Z"]),
        ("date-time", ["1963-06-19T08:30:06.28Z"], ["1963-06-19 08:30:06Z", "1998-12-31T23:58:60Z"]),
        ("duration", ["P4DT12H30M5S", "P4Y", "PT36H", "P2W"], ["PT1D", "P", "P1", "P2W1D"]),
        ("email", ["joe.bloggs@example.com", "a@[127.0.0.1]", "a@[IPv6:::1]"], ["a", "a@", ".a@b.c", "a..b@c.d"]),
        ("ipv4", ["192.168.0.1"], ["256.0.0.1", "01.0.0.1", "127.0.0"]),
        ("ipv6", ["::1", "::ffff:192.168.0.1", "2001:db8::1"], ["12345::", "1::2::3", ":1"]),
        ("uri", ["http://foo.bar/?baz=qux#quux", "urn:a:b"], ["/a/b", "http:// a", "bar,\\"]),
        ("uri-reference", ["/abc", "#frag", "http://a/b"], ["\\\\WINDOWS", "#a\\b"]),
        ("uri-template", ["http://x/{term:1}/{?a,b*}"], ["http://x/{term"]),
        ("uuid", ["2EB8AA08-aa98-11ea-b4aa-73b441d16380"], ["2eb8aa08aa9811eab4aa73b441d16380"]),
        ("json-pointer", ["/foo/bar~0/%", ""], ["/foo/bar~", "a"]),
        ("relative-json-pointer", ["1", "0/foo/bar", "0#"], ["/foo", "01"]),
    ],
)
def test_a_text_is_of_its_format(name: str, right: list[str], wrong: list[str]) -> None:
    start = matcher(json_schema={"type": "string", "format": name})
    quoted = {text: '"' + text.replace("\\", "\\\\") + '"' for text in (*right, *wrong)}
    assert [text for text in right if not accepts(start, quoted[text])] == []
    assert [text for text in wrong if accepts(start, quoted[text])] == []


def test_a_format_and_a_pattern_hold_together() -> None:
    start = matcher(json_schema={"type": "string", "format": "date", "pattern": "^2024"})
    assert accepts(start, '"2024-01-31"')
    assert not accepts(start, '"2023-01-31"')
    assert not accepts(start, '"2024-01-32"')


def test_a_format_that_the_standard_does_not_know_says_nothing() -> None:
    assert accepts(matcher(json_schema={"type": "string", "format": "password"}), '"x"')
