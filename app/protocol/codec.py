"""Frames: a 4-byte little-endian length, then one msgpack object.

Turns bytes into commands and events; knows nothing of pipes or processes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec

from app.protocol.commands import Command
from app.protocol.events import Event

MAX_FRAME_BYTES = 64 << 20
"""Longer frames are refused as garbage."""

_LENGTH = struct.Struct("<I")
_encoder = msgspec.msgpack.Encoder()
T = TypeVar("T")


class FrameError(Exception):
    """The bytes are not a frame of this protocol; the connection cannot continue."""

    def __init__(self, reason: str, before: Sequence[Any] = ()) -> None:
        """`before` holds the complete messages of the same chunk that came before the bad bytes."""
        super().__init__(reason)
        self.before = before


def encode(message: Command | Event) -> bytes:
    """Returns one frame. Raises FrameError if the message is longer than MAX_FRAME_BYTES."""
    body = _encoder.encode(message)
    if len(body) > MAX_FRAME_BYTES:
        raise FrameError(f"message of {len(body)} bytes")
    return _LENGTH.pack(len(body)) + body


class Decoder(Generic[T]):
    """Turns chunks of bytes, cut anywhere, into messages."""

    def __init__(self, decoder: msgspec.msgpack.Decoder[T]) -> None:
        self._decoder = decoder
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> list[T]:
        """Returns the messages completed by `chunk`. Raises FrameError (with them) for invalid bytes."""
        buffer = self._buffer
        buffer += chunk
        messages: list[T] = []
        start = 0
        while len(buffer) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(buffer, start)
            if length > MAX_FRAME_BYTES:
                raise FrameError(f"frame of {length} bytes", messages)
            end = start + _LENGTH.size + length
            if len(buffer) < end:
                break
            try:
                messages.append(self._decoder.decode(memoryview(buffer)[start + _LENGTH.size : end]))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                raise FrameError(f"not a message: {error}", messages) from error
            start = end
        del buffer[:start]
        return messages


def command_decoder() -> Decoder[Command]:
    """A decoder for the worker's end."""
    return Decoder(msgspec.msgpack.Decoder(Command))


def event_decoder() -> Decoder[Event]:
    """A decoder for the app's end."""
    return Decoder(msgspec.msgpack.Decoder(Event))
