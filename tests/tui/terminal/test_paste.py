"""The terminal's input parser: pasted text never becomes keys, however the reads cut it."""

import importlib

import pytest
from textual import events

from app.tui.terminal.paste import END, START, SafePasteParser, install


def parse(*chunks):
    parser = SafePasteParser()
    out = []
    for event in (event for chunk in chunks for event in parser.feed(chunk)):
        out.append(("paste", event.text) if isinstance(event, events.Paste) else ("key", event.key))
    return out


HOSTILE = [
    ("ab\x1bcd\r", "ab␛cd\r"),
    ("a\x1b[31mred\x1b[0m b\rc", "a␛[31mred␛[0m b\rc"),
    ("rm\x1b\x1b\rnext", "rm␛␛\rnext"),
    ("\x1b[20", "␛[20"),
    ("\x1b[200~inner", "␛[200~inner"),
    ("nul\x00\x03", "nul\x03"),
    ("", ""),
    ("日本\x1bOP", "日本␛OP"),
]


@pytest.mark.parametrize(("pasted", "shown"), HOSTILE)
def test_a_paste_is_one_event_at_every_cut(pasted, shown):
    stream = "k" + START + pasted + END + "q\x1b[A"
    expected = [("key", "k"), ("paste", shown), ("key", "q"), ("key", "up")]
    assert parse(stream) == expected
    assert parse(*stream) == expected
    for cut in range(1, len(stream)):
        assert parse(stream[:cut], stream[cut:]) == expected, cut


def test_every_pair_of_cuts():
    stream = START + "a\x1b[\r" + END + "q"
    for first in range(1, len(stream) - 1):
        for second in range(first + 1, len(stream)):
            chunks = stream[:first], stream[first:second], stream[second:]
            assert parse(*chunks) == [("paste", "a␛[\r"), ("key", "q")], chunks


def test_pastes_follow_each_other():
    assert parse(START + "a" + END + START + "b" + END + "c") == [("paste", "a"), ("paste", "b"), ("key", "c")]


def test_keys_without_a_paste_are_read_as_before():
    assert parse("\x1b[A", "a", "\x1b[13;2u", "\r") == [("key", key) for key in ("up", "a", "shift+enter", "enter")]


def test_a_start_mark_that_the_parser_gave_up_starts_nothing(monkeypatch):
    parser = SafePasteParser()
    assert list(parser.feed(START[:3])) == []
    monkeypatch.setattr("textual._parser.get_time", lambda: float("inf"))
    list(parser.tick())
    keys = [event.key for event in parser.feed(START[3:] + "\r")]
    assert keys == ["0", "0", "tilde", "enter"]


def test_one_megabyte_is_not_read_by_the_character(monkeypatch):
    steps = []
    parse_step = SafePasteParser.__mro__[1].feed
    monkeypatch.setattr(
        SafePasteParser.__mro__[1], "feed", lambda self, data: steps.append(len(data)) or parse_step(self, data)
    )
    text = "line\r" * 200_000
    assert parse(START + text + END) == [("paste", text)]
    assert sum(steps) == len(START) + len(END)


def test_install_reaches_the_drivers(monkeypatch):
    drivers = [importlib.import_module(f"textual.drivers.{name}") for name in ("linux_driver", "web_driver")]
    for driver in drivers:
        monkeypatch.setattr(driver, "XTermParser", driver.XTermParser)
    install()
    install()
    assert [driver.XTermParser for driver in drivers] == [SafePasteParser] * 2


@pytest.mark.parametrize("sent", ["\x1b\r", "\x1b[13;3u"])
def test_alt_enter_is_no_enter(sent):
    assert parse(f"a{sent}b") == [("key", "a"), ("key", "alt+enter"), ("key", "b")]
    pasted = f"x{sent}"
    assert parse(f"{sent}{START}{pasted}{END}") == [("key", "alt+enter"), ("paste", pasted.replace("\x1b", "␛"))]
