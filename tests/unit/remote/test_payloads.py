import json
from typing import Any

import pytest

from app.remote.errors import StreamError
from app.remote.payloads import PayloadReader

ONE, TWO = {"a": 1}, {"a": 2}
BODIES: dict[str, tuple[bytes, list[dict[str, Any]], bool]] = {
    "events": (b'data: {"a": 1}\n\ndata: {"a": 2}\n\ndata: [DONE]\n\n', [ONE, TWO], True),
    "no [DONE]": (b'data: {"a": 1}\n\ndata: {"a": 2}', [ONE, TWO], False),
    "something after [DONE]": (b'data: {"a": 1}\n\ndata:[DONE]\n\ndata: {"a": 2}\n\n', [ONE], True),
    "values that are no objects": (b'data: null\n\ndata: 3\n\ndata: \n\ndata: {"a": 1}\n\n', [ONE], False),
    "one object (`stream` is ignored)": (b'{"a": 1}', [ONE], False),
    "one object over lines": (b'{\n  "a": 1\n}\n', [ONE], False),
    "blanks before it": (b'\r\n  {"a": 1}', [ONE], False),
    "byte order mark": (b'\xef\xbb\xbf{"a": 1}', [ONE], False),
    "JSON lines (Ollama)": (b'{"a": 1}\n{"a": 2}\n', [ONE, TWO], False),
    "a list": (b'[{"a": 1}, 7, {"a": 2}]', [ONE, TWO], False),
    "an error event": (b'event: error\ndata: {"error": {"message": "x"}}\n\n', [{"error": {"message": "x"}}], False),
    "an error in words": (b"event: error\ndata: out of memory\n\n", [{"error": "out of memory"}], False),
    "an error field": (b'error: {"code": 500}\n\n', [{"error": {"code": 500}}], False),
    "empty": (b"", [], False),
}


def read(chunks: list[bytes]) -> tuple[list[Any], bool]:
    reader = PayloadReader()
    found = [each for chunk in chunks for each in reader.feed(chunk)]
    return [*found, *reader.close()], reader.done


@pytest.mark.parametrize(("body", "objects", "done"), BODIES.values(), ids=BODIES)
def test_a_body_is_read_wherever_it_is_split(body: bytes, objects: list[Any], done: bool) -> None:
    for at in range(len(body) + 1):
        assert read([body[:at], body[at:]]) == (objects, done)
    assert read([bytes([byte]) for byte in body]) == (objects, done)


BROKEN = {
    "web page": (b"<!DOCTYPE html><html>", "a web page"),
    "web page in an event": (b"data: <html>\n\n", "a web page"),
    "no JSON": (b"data: {oops\n\n", "no JSON: {oops"),
    "cut JSON": (b'{"a": 1', 'no JSON: {"a": 1'),
    "nested too deeply": (b"data: " + b"[" * 200_000 + b"\n\n", "no JSON"),
    "an escape of a terminal": (b"data: \x1b[2J\n\n", "no JSON: \u241b\\[2J"),
}


@pytest.mark.parametrize(("body", "message"), BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_read_is_an_error(body: bytes, message: str) -> None:
    with pytest.raises(StreamError, match=message):
        read([body])


def test_numbers_that_json_has_not_are_read() -> None:
    found, _ = read([b'data: {"a": NaN, "b": -Infinity}\n\n'])
    assert json.dumps(found) == '[{"a": NaN, "b": -Infinity}]'


def test_what_comes_before_a_fault_is_given_first() -> None:
    objects = PayloadReader().feed(b'data: {"a": 1}\n\ndata: {oops\n\n')
    assert next(objects) == ONE
    with pytest.raises(StreamError):
        next(objects)
