"""Frames: cut anywhere they give the same messages; garbage gives FrameError and nothing else."""

import itertools
import struct
from contextlib import suppress
from typing import get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.conversation import Role
from app.domain.generation import CellSpan, FinishReason, PromptSpans, Stop
from app.domain.model import KvType, LoadOptions, ModelSizes
from app.domain.sampling import SamplingParams
from app.domain.trace import Prediction, PromptToken, StageTrace, TopToken
from app.protocol.codec import MAX_FRAME_BYTES, FrameError, command_decoder, encode, event_decoder
from app.protocol.commands import (
    Abort,
    Bench,
    CancelLoad,
    ChatMessage,
    Command,
    Forget,
    Generate,
    LoadModel,
    Pause,
    Ping,
    Predict,
    Resume,
    Score,
    Shutdown,
    Tokenize,
)
from app.protocol.events import (
    BenchFinished,
    BenchMeasured,
    CellsReported,
    ContextShifted,
    ContextTrimmed,
    Event,
    GenerationStarted,
    LoadFailed,
    LoadProgress,
    Paused,
    Pong,
    Predicted,
    PrefillProgress,
    PromptFit,
    PromptRendered,
    Scored,
    ScoreFinished,
    SlotsHeld,
    Tokenized,
    TokensGenerated,
)
from tests.fakes.engine_events import make_finished, make_hello, make_lost, make_ready, make_token

PREDICTION = Prediction(
    1.5, 0.25, (TopToken(1, "a", 0.5),), (TopToken(1, "a", 1.0),), (StageTrace("top-k", 9, 1, (1.0,)),)
)
COMMANDS: list[Command] = [
    LoadModel("/models/é\udcff".encode("utf-8", "surrogateescape").decode("utf-8", "replace"), LoadOptions(n_ctx=4096)),
    LoadModel(
        "C:\\m.gguf", LoadOptions(kv_type=KvType.Q8_0, flash_attn="on", n_gpu_layers=-1, chat_template="{{ x }}")
    ),
    CancelLoad(),
    Generate(
        7, (ChatMessage(Role.SYSTEM, ""), ChatMessage(Role.USER, "日本\x00\x1b[2J")), SamplingParams(seed=4294967294)
    ),
    LoadModel(
        "/m.gguf", LoadOptions(n_gpu_layers="auto", tensor_split=(3, 1)), ModelSizes((1, 2), 3, 4, 5, 6, 7, 8, 9, 10)
    ),
    Generate(
        9,
        (),
        SamplingParams(),
        prompt_ids=(1, 2),
        reply_ids=(3,),
        reply_text="é",
        n_steps=0,
        include_prompt=True,
        conversation=5,
    ),
    Pause(9),
    Resume(9, 2, (4, 5), "text", (6,), (7,)),
    Tokenize(10, "<|im_end|>", parse_special=True),
    Tokenize(10, "", (ChatMessage(Role.USER, "hi"),), False, True, 64, "shift"),
    Predict(11, (ChatMessage(Role.USER, "hi"),), SamplingParams(top_k=3), 5),
    Score(12, "text", 3, 512),
    Forget((3, 2**40)),
    Bench(8, 512, 0, 4096, 5, False),
    Abort(2**62),
    Ping(),
    Shutdown(),
]
EVENTS: list[Event] = [
    make_hello(),
    LoadProgress(0.25),
    make_ready(notices=("a smaller context than asked",)),
    LoadFailed("why", "what to do", True),
    ContextTrimmed(7, 4, 900),
    GenerationStarted(7, 20, 12, PromptSpans(4, 8, 8), 1, n_restored=8, n_shared=2, n_kept=3),
    SlotsHeld(7, (3, 4)),
    CellsReported(7, (CellSpan("system", 4, "shared", 0.0, 1.7e9, 1.7e9 + 0.5, 3), CellSpan("free", 96))),
    PrefillProgress(7, 4, 8, 1.5),
    TokensGenerated(7, "🙂", (make_token("<0xF0>", n_top=3), make_token("🙂", 1, n_top=0))),
    ContextShifted(7, 4, 100),
    make_finished(7, stop=Stop("string", "\n\n"), n_generated=4),
    make_finished(7, FinishReason.ERROR, error="no"),
    PromptRendered(9, (PromptToken(1, "<|im_start|>", 12, True), PromptToken(5, "é", 2))),
    Paused(9, 3, PREDICTION),
    Tokenized(10, (PromptToken(2, "<|im_end|>", 10, True),)),
    Tokenized(10, fit=PromptFit(PromptSpans(4, 8, 8), 2, 40, True)),
    Predicted(11, 4, PREDICTION),
    Scored(12, (make_token("a"),)),
    ScoreFinished(12, 9, 8, 1.5),
    BenchMeasured(8, 0.25),
    BenchFinished(8, "stopped"),
    Pong(1.5),
    make_lost(),
]
STREAM = b"".join(map(encode, EVENTS))


def test_every_kind_of_message_is_in_the_examples():
    assert {type(command) for command in COMMANDS} == set(get_args(Command))
    assert {type(event) for event in EVENTS} == set(get_args(Event))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: type(c).__name__)
def test_commands_come_back_equal(command):
    assert command_decoder().feed(encode(command)) == [command]


@pytest.mark.parametrize("event", EVENTS, ids=lambda e: type(e).__name__)
def test_events_come_back_equal(event):
    assert event_decoder().feed(encode(event)) == [event]


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_cut_anywhere(cuts):
    decoder = event_decoder()
    edges = [0, *sorted(cuts), len(STREAM)]
    events = [event for start, end in itertools.pairwise(edges) for event in decoder.feed(STREAM[start:end])]
    assert events == EVENTS


def test_one_byte_at_a_time():
    decoder = event_decoder()
    assert [event for byte in STREAM for event in decoder.feed(bytes([byte]))] == EVENTS


def test_a_length_beyond_the_limit_is_refused_before_its_bytes_come():
    with pytest.raises(FrameError, match=str(MAX_FRAME_BYTES + 1)):
        event_decoder().feed(struct.pack("<I", MAX_FRAME_BYTES + 1))


def test_a_message_beyond_the_limit_is_not_encoded():
    message = ChatMessage(Role.USER, "x" * MAX_FRAME_BYTES)
    with pytest.raises(FrameError, match="bytes"):
        encode(Generate(1, (message,), SamplingParams()))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x90",
        b"\x93\xa5Abort\x01",
        msgspec.msgpack.encode(["Abort", "1"]),
        msgspec.msgpack.encode(["Nope"]),
    ],
)
def test_wrong_bodies_are_refused(body):
    with pytest.raises(FrameError):
        command_decoder().feed(struct.pack("<I", len(body)) + body)


def test_a_command_is_not_an_event():
    with pytest.raises(FrameError):
        event_decoder().feed(encode(Abort(1)))


def test_out_of_range_sampling_is_refused():
    body = msgspec.msgpack.encode(["Generate", 1, [], {"temperature": -1.0}, 10])
    with pytest.raises(FrameError, match="temperature"):
        command_decoder().feed(struct.pack("<I", len(body)) + body)


def test_deep_nesting_is_refused():
    body = b"\x93\xa5Abort\x01" + b"\x91" * 100_000 + b"\xc0"
    with pytest.raises(FrameError):
        command_decoder().feed(struct.pack("<I", len(body)) + body)


@settings(max_examples=300)
@given(st.binary(max_size=200), st.booleans())
def test_garbage_never_raises_anything_else(data, framed):
    chunk = struct.pack("<I", len(data)) + data if framed else data
    for decoder in (event_decoder(), command_decoder()):
        with suppress(FrameError):
            decoder.feed(chunk)


@settings(max_examples=300)
@given(st.integers(0, len(STREAM) - 1), st.integers(1, 255))
def test_a_flipped_byte_never_raises_anything_else(place, flip):
    broken = bytearray(STREAM)
    broken[place] ^= flip
    with suppress(FrameError):
        event_decoder().feed(bytes(broken))


def test_what_came_whole_before_bad_bytes_is_reported_with_the_error():
    decoder = event_decoder()
    good = LoadProgress(0.5)
    with pytest.raises(FrameError) as caught:
        decoder.feed(encode(good) + b"\x05\x00\x00\x00hello")
    assert caught.value.before == [good]
