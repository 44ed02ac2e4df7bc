"""Parses an untrusted GGUF header (versions 2 and 3, little-endian).

Checks every count and length against the size of the file before it reads or allocates, by the rules of llama.cpp's
`gguf_init_from_reader` and with tighter limits. Skips long arrays, such as the vocabulary. `app.models.gguf` interprets
the keys.
"""

from __future__ import annotations

import struct
from typing import BinaryIO, NamedTuple

from app.models.ggml_types import ARRAY, STRING, TENSOR_TYPES, VALUE_FORMATS, TensorType

Value = int | float | str | list[int | float]

_MAX_HEADER_BYTES = 256 << 20
_MAX_KEYS = 1 << 16
_MAX_TENSORS = 1 << 17
_MAX_ARRAY = 1 << 22
_KEPT_ARRAY = 4096
_MAX_NAME_BYTES = 1 << 16
_CHUNK = 4 << 20
_DISTINCT = "tokenizer.ggml.tokens"
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")


class GgufError(Exception):
    """The bytes are invalid; the message is a clause whose subject is the file."""


class Skipped(NamedTuple):
    """An array that was skipped."""

    n: int
    n_repeated: int = 0
    """Number of texts that repeat an earlier one, empty ones excluded; counted only for `_DISTINCT`."""


class Tensor(NamedTuple):
    """One tensor: its offset in the data section and its size."""

    name: str
    type: TensorType
    n_elements: int
    offset: int
    n_bytes: int


class GgufContent(NamedTuple):
    """A parsed header of a complete file."""

    metadata: dict[str, Value | Skipped]
    tensors: list[Tensor]


def parse_gguf(file: BinaryIO, size_bytes: int) -> GgufContent:
    """Parses the header of an open file from its start. Raises GgufError and OSError."""
    reader = _Reader(file, size_bytes)
    if reader.raw(4) != b"GGUF":
        raise GgufError("is not a GGUF file")
    version = reader.u32()
    if version & 0xFFFF == 0:
        raise GgufError("is a big-endian GGUF, which this machine cannot run")
    if version not in {2, 3}:
        raise GgufError(f"is a GGUF of version {version}; only 2 and 3 can be read")
    n_tensors = reader.count(_MAX_TENSORS, "tensors")
    n_keys = reader.count(_MAX_KEYS, "metadata keys")
    metadata: dict[str, Value | Skipped] = {}
    for _ in range(n_keys):
        key = reader.name()
        if key in metadata:
            raise GgufError("is damaged: a metadata key comes twice")
        metadata[key] = reader.value(distinct=key == _DISTINCT)
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment <= 0 or alignment & (alignment - 1):
        raise GgufError("is damaged: its alignment is not a power of two")
    tensors = _read_tensors(reader, n_tensors, alignment)
    data_start = _pad(reader.at, alignment)
    end = max((data_start + tensor.offset + tensor.n_bytes for tensor in tensors), default=reader.at)
    if end > size_bytes:
        raise GgufError(f"is incomplete: have {size_bytes:,} of {end:,} bytes")
    return GgufContent(metadata, tensors)


def _read_tensors(reader: _Reader, n_tensors: int, alignment: int) -> list[Tensor]:
    tensors: list[Tensor] = []
    names: set[str] = set()
    expected = 0
    for _ in range(n_tensors):
        tensor = reader.tensor()
        if tensor.name in names:
            raise GgufError("is damaged: a tensor comes twice")
        if tensor.offset != expected:
            raise GgufError("is damaged: its tensors do not follow each other")
        names.add(tensor.name)
        tensors.append(tensor)
        expected = _pad(expected + tensor.n_bytes, alignment)
    return tensors


def _pad(n: int, alignment: int) -> int:
    return (n + alignment - 1) & -alignment


class _Reader:
    """A cursor over the head of the file, read in chunks as needed."""

    def __init__(self, file: BinaryIO, size_bytes: int) -> None:
        self._file = file
        self._size = size_bytes
        self._data = bytearray()
        self.at = 0

    def _need(self, end: int) -> None:
        """Reads the file up to `end`."""
        if end <= len(self._data):
            return
        if end > self._size:
            raise GgufError(f"is incomplete or damaged: its {self._size:,} bytes end inside the header")
        if end > _MAX_HEADER_BYTES:
            raise GgufError(f"is damaged: its header is longer than {_MAX_HEADER_BYTES >> 20} MiB")
        self._data += self._file.read(max(_CHUNK, end - len(self._data)))
        if end > len(self._data):
            raise GgufError("is incomplete: it shrank while it was read")

    def raw(self, n: int) -> bytes:
        start = self.at
        self._need(start + n)
        self.at = start + n
        return bytes(self._data[start : self.at])

    def u32(self) -> int:
        return _U32.unpack(self.raw(4))[0]

    def u64(self) -> int:
        return _U64.unpack(self.raw(8))[0]

    def count(self, most: int, noun: str) -> int:
        n = self.u64()
        if n > most:
            raise GgufError(f"is damaged: it claims {n:,} {noun}")
        return n

    def text(self) -> str:
        return self.raw(self.u64()).decode("utf-8", "replace")

    def name(self) -> str:
        n = self.u64()
        if not 0 < n <= _MAX_NAME_BYTES:
            raise GgufError(f"is damaged: it has a name of {n:,} bytes")
        return self.raw(n).decode("utf-8", "replace")

    def value(self, *, distinct: bool = False) -> Value | Skipped:
        kind = self.u32()
        if kind == STRING:
            return self.text()
        if kind == ARRAY:
            return self._array(distinct)
        return self._numbers(kind, 1)[0]

    def _array(self, distinct: bool) -> Value | Skipped:
        kind = self.u32()
        n = self.count(_MAX_ARRAY, "values in one array")
        if kind == STRING:
            start = self.at
            self._skip_strings(n)
            return Skipped(n, self._n_repeated(start, n) if distinct else 0)
        if n <= _KEPT_ARRAY:
            return self._numbers(kind, n)
        self._numbers(kind, 0)
        self.raw(n * struct.calcsize(VALUE_FORMATS[kind]))
        return Skipped(n)

    def _numbers(self, kind: int, n: int) -> list[int | float]:
        form = VALUE_FORMATS.get(kind)
        if form is None:
            raise GgufError(f"is damaged: it has a metadata value of unknown type {kind}")
        packed = struct.Struct(f"<{n}{form[1]}")
        return list(packed.unpack(self.raw(packed.size)))

    def _skip_strings(self, n: int) -> None:
        at, data, length = self.at, self._data, _U64.unpack_from
        for _ in range(n):
            if at + 8 > len(data):
                self._need(at + 8)
            at += 8 + length(data, at)[0]
        self._need(at)
        self.at = at

    def _n_repeated(self, at: int, n: int) -> int:
        """Returns how many of the `n` skipped texts from `at` on repeat an earlier one; empty ones do not count."""
        data, length, seen, n_empty = self._data, _U64.unpack_from, set[bytes](), 0
        for _ in range(n):
            end = at + 8 + length(data, at)[0]
            text = bytes(data[at + 8 : end])
            seen.add(text)
            n_empty += not text
            at = end
        return n - n_empty - len(seen - {b""})

    def tensor(self) -> Tensor:
        name = self.name()
        n_dims = self.u32()
        if n_dims > 4:
            raise GgufError(f"is damaged: a tensor has {n_dims} dimensions")
        shape = [self.u64() for _ in range(n_dims)]
        number = self.u32()
        kind = TENSOR_TYPES.get(number)
        if kind is None:
            raise GgufError(f"has tensors of type {number}, which this llama.cpp does not know")
        n_elements = 1
        for n in shape:
            n_elements *= n
        if n_elements >= 1 << 63 or (shape[0] if shape else 1) % kind.n_elements:
            raise GgufError("is damaged: a tensor has an impossible shape")
        n_bytes = n_elements // kind.n_elements * kind.n_bytes
        return Tensor(name, kind, n_elements, self.u64(), n_bytes)
