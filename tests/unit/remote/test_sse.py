from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.remote.errors import StreamError
from app.remote.lines import MAX_LINE_BYTES, LineReader
from app.remote.sse import MAX_EVENT_BYTES, ServerEvent, SseReader

STREAMS = {
    "LF": (b"data: a\n\ndata: b\n\n", ["a", "b"]),
    "CRLF": (b"data: a\r\n\r\ndata: b\r\n\r\n", ["a", "b"]),
    "CR": (b"data: a\r\rdata: b\r\r", ["a", "b"]),
    "mixed ends": (b"data: a\r\n\ndata: b\r\r\n", ["a", "b"]),
    "byte order mark": (b"\xef\xbb\xbfdata: a\n\n", ["a"]),
    "comments": (b": OPENROUTER PROCESSING\n\n:\n\ndata: a\n: ping\n\n", ["a"]),
    "no space": (b"data:a\n\ndata:  b\n\n", ["a", " b"]),
    "several lines": (b"data: a\ndata: b\n\n", ["a\nb"]),
    "other fields": (b"id: 7\nretry: 10\nwhat: x\ndata: a\n\n", ["a"]),
    "field without colon": (b"data\n\nx\n\ndata: a\n\n", ["", "a"]),
    "event without data": (b"event: ping\n\ndata: a\n\n", ["a"]),
    "no blank line at the end": (b"data: a\n\ndata: b\n", ["a", "b"]),
    "no end of line at the end": (b"data: a\n\ndata: b", ["a", "b"]),
    "text of several bytes": ("data: é€𝄞\n\n".encode(), ["é€𝄞"]),
    "not UTF-8": (b"data: \xff\xfe\n\n", ["��"]),
    "nothing": (b"", []),
    "blank lines alone": (b"\n\n\r\n\n", []),
}


def read(chunks: list[bytes]) -> list[ServerEvent]:
    reader = SseReader()
    events = [event for chunk in chunks for event in reader.feed(chunk)]
    return [*events, *reader.close()]


@pytest.mark.parametrize(("stream", "data"), STREAMS.values(), ids=STREAMS)
def test_a_stream_is_read_wherever_it_is_split(stream: bytes, data: list[str]) -> None:
    assert [event.data for event in read([stream])] == data
    for at in range(len(stream) + 1):
        assert [event.data for event in read([stream[:at], stream[at:]])] == data
    assert [event.data for event in read([bytes([byte]) for byte in stream])] == data


@given(
    st.lists(st.sampled_from([b"data: x", b"data", b":", b"\r", b"\n", b"\r\n", b"\xc3\xa9", b"event: e"])), st.data()
)
def test_any_stream_is_read_alike_however_it_is_split(parts: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(parts)
    borders = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    ends = [0, *borders, len(stream)]
    assert read([stream[low:high] for low, high in pairwise(ends)]) == read([stream])


def test_an_event_has_its_name() -> None:
    assert read([b"event: error\ndata: x\n\ndata: y\n\n"]) == [ServerEvent("x", "error"), ServerEvent("y")]


def test_the_error_field_of_older_llama_servers_is_an_error() -> None:
    assert read([b'error: {"code":500}\n\n']) == [ServerEvent('{"code":500}', "error")]


def test_a_line_without_an_end_is_given_up() -> None:
    reader = SseReader()
    assert list(reader.feed(b"x" * MAX_LINE_BYTES)) == []
    with pytest.raises(StreamError, match="a line of more than 1 MiB"):
        list(reader.feed(b"x"))


def test_a_long_line_with_an_end_is_given_up() -> None:
    with pytest.raises(StreamError):
        list(LineReader().feed(b"x" * (MAX_LINE_BYTES + 1) + b"\n"))


def test_an_event_without_an_end_is_given_up() -> None:
    reader, size = SseReader(), 1 << 16
    assert list(reader.feed((b"data: " + b"x" * size + b"\n") * (MAX_EVENT_BYTES // size))) == []
    with pytest.raises(StreamError, match="an event of more than 4 MiB"):
        list(reader.feed(b"data: x\n"))
