"""The words of header, key bar and queue line."""

from __future__ import annotations

from dataclasses import replace

from app.client.engine import EngineState
from app.session.loading import LoadStatus
from app.tui.chat.status import Situation, header_left, header_right, key_hints, queue_line
from app.tui.common.keymap import resolve
from app.tui.widgets.bar import Segment
from tests.fakes.engine_events import make_ready

READY = Situation(
    model=make_ready(title="From the GGUF", quant="Q4_1"),
    engine=EngineState.READY,
    load=LoadStatus("Tiny"),
    preset="balanced",
    title="Rain",
    running=False,
    saving=True,
    waiting=(),
)
KEYS = resolve({})


def texts(segments: list[Segment]) -> list[str]:
    return [segment.lead + segment.text for segment in segments]


def test_the_catalogues_title_is_shown() -> None:
    assert texts(header_left(READY, KEYS)) == ["Tiny", "Q4_1", "balanced", "Rain"]


def test_a_title_that_shows_the_quantisation_says_it_once() -> None:
    assert texts(header_left(replace(READY, load=LoadStatus("Tiny Q4_1")), KEYS)) == ["Tiny Q4_1", "balanced", "Rain"]


def test_hostile_titles_are_made_safe() -> None:
    assert texts(header_left(replace(READY, title="a\x1b]0;b\nc"), KEYS))[-1] == "a␛]0;b c"


def test_states() -> None:
    states = {
        EngineState.READY: ["● ready"],
        EngineState.LOST: ["✕ engine lost"],
        EngineState.NO_MODEL: ["○ no model"],
        EngineState.STARTING: ["◌ starting"],
    }
    for engine, expected in states.items():
        assert texts(header_right(replace(READY, engine=engine), KEYS)) == expected
    failed = replace(READY, engine=EngineState.STARTING, load=LoadStatus(error="no such file"))
    assert texts(header_right(failed, KEYS)) == ["○ no model"]
    assert texts(header_right(replace(failed, load=LoadStatus(error="stopped", cancelled=True)), KEYS)) == [
        "◌ starting"
    ]
    assert texts(header_right(replace(READY, running=True), KEYS)) == ["◉ replying"]
    assert texts(header_right(replace(READY, saving=False), KEYS)) == ["not saved", "● ready"]
    assert texts(header_right(replace(READY, load=LoadStatus("Tiny", 0.5)), KEYS)) == ["◌ loading ━━━━━━╌╌╌╌╌╌  50%"]


def test_the_key_bar_shows_how_to_stop_only_while_there_is_something_to_stop() -> None:
    idle, busy = texts(key_hints(KEYS, False)), texts(key_hints(KEYS, True))
    assert idle[:3] == ["⏎ send", "^R again", "^N new"]
    assert busy[0] == "Esc stop"
    assert "Esc stop" not in idle


def test_the_key_bar_shows_the_users_keys() -> None:
    assert "F5 new" in texts(key_hints(resolve({"new": "f5"}), False))


def test_the_queue_line() -> None:
    assert queue_line(READY, KEYS) == []
    waiting = replace(READY, waiting=("first\nline", "second"), load=LoadStatus("Tiny", 0.1))
    assert texts(queue_line(waiting, KEYS)) == [
        "▸ 2 queued",
        "first line",
        "until the model is loaded",
        "Esc takes it back",
    ]
    failed = replace(waiting, engine=EngineState.STARTING, load=LoadStatus(error="no such file"))
    assert texts(queue_line(failed, KEYS))[2] == "Ctrl+O chooses a model"
