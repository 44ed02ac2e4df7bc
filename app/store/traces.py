"""The rows of traces. A reply's trace is one small blob: msgpack of columns under zlib."""

from __future__ import annotations

import sys
import zlib
from array import array
from collections.abc import Iterable, Sequence
from itertools import islice, starmap
from typing import Any, Literal, TypeVar

import apsw
import msgspec
from msgspec import Struct

from app.domain.errors import GoneError
from app.domain.generation import CellSpan, DraftCounts
from app.domain.sampling import SamplingParams
from app.domain.trace import Draw, Origin, PromptToken, ReplyTrace, StageTrace, TokenTrace, TopToken
from app.store.sql import execute

FORMAT = 1
"""Of the blobs that `pack` makes. What a number means never changes."""

_LEVEL = 6
_MAX_BYTES = 1 << 28
"""Of an unpacked blob: an imported one may be made to fill the memory."""

T = TypeVar("T")


class _Blob(Struct, frozen=True, array_like=True):
    n_cached: int
    sampling: SamplingParams
    seed: int
    cells: tuple[CellSpan, ...]
    drafting: DraftCounts | None
    texts: list[str]
    """Of the dictionary's pieces; their ids are the column `piece_id`."""
    names: list[str]
    """Of origins and of stages."""
    ints: dict[str, bytes]
    floats: dict[str, bytes]
    draws: bytes
    n_kept: int = 0


def pack(trace: ReplyTrace) -> bytes:
    """Makes a blob of FORMAT."""
    tokens = trace.tokens
    tops = [top for token in tokens for top in token.top]
    ghosts = [ghost for token in tokens for ghost in token.ghosts]
    stages = [stage for token in tokens for stage in token.stages]
    draws = [token.draw for token in tokens if token.draw]
    pieces: dict[tuple[int, str], int] = {}
    names: dict[str, int] = {}

    def pieces_of(items: Iterable[TokenTrace | TopToken | PromptToken]) -> list[int]:
        return [pieces.setdefault((item.id, item.text), len(pieces)) for item in items]

    def names_of(texts: Iterable[str]) -> list[int]:
        return [names.setdefault(text, len(names)) for text in texts]

    ints = {
        "token": pieces_of(tokens),
        "rank": [token.rank for token in tokens],
        "origin": names_of(token.origin.value for token in tokens),
        "n_bytes": [token.n_bytes for token in tokens],
        "n_tops": [len(token.top) for token in tokens],
        "top": pieces_of(tops),
        "n_ghosts": [len(token.ghosts) for token in tokens],
        "ghost": pieces_of(ghosts),
        "n_stages": [len(token.stages) for token in tokens],
        "stage": names_of(stage.name for stage in stages),
        "stage_in": [stage.n_in for stage in stages],
        "stage_out": [stage.n_out for stage in stages],
        "stage_n_ps": [len(stage.p) for stage in stages],
        "drawn": [token.draw is not None for token in tokens],
        "thinking": [token.thinking for token in tokens],
        "prompt": pieces_of(trace.prompt),
        "prompt_bytes": [token.n_bytes for token in trace.prompt],
        "prompt_control": [token.is_control for token in trace.prompt],
    }
    ints["piece_id"] = [piece_id for piece_id, _ in pieces]
    floats = {
        "ms": [token.ms for token in tokens],
        "p": [token.p for token in tokens],
        "logprob": [token.logprob for token in tokens],
        "entropy": [token.entropy for token in tokens],
        "p_end": [token.p_end for token in tokens],
        "decode_ms": [token.decode_ms for token in tokens],
        "sample_ms": [token.sample_ms for token in tokens],
        "text_ms": [token.text_ms for token in tokens],
        "log_total": [token.log_total for token in tokens],
        "top_p": [top.p for top in tops],
        "ghost_p": [ghost.p for ghost in ghosts],
        "stage_p": [p for stage in stages for p in stage.p],
    }
    blob = _Blob(
        trace.n_cached,
        trace.sampling,
        trace.seed,
        trace.cells,
        trace.drafting,
        [text for _, text in pieces],
        list(names),
        {name: _planes("i", column) for name, column in ints.items()},
        {name: _planes("f", column) for name, column in floats.items()},
        _planes("d", [each for draw in draws for each in (draw.u, draw.low, draw.high)]),
        trace.n_kept,
    )
    return zlib.compress(msgspec.msgpack.encode(blob), _LEVEL)


def unpack(number: int, data: bytes) -> ReplyTrace | None:
    """Reads a blob of format `number`; None where it is damaged, or newer than this program."""
    if number != FORMAT:
        return None
    try:
        unpacker = zlib.decompressobj()
        unpacked = unpacker.decompress(data, _MAX_BYTES)
        return _trace(msgspec.msgpack.decode(unpacked, type=_Blob)) if unpacker.eof else None
    except (zlib.error, msgspec.MsgspecError, ValueError, LookupError, StopIteration):
        return None


def _trace(blob: _Blob) -> ReplyTrace:
    ints: dict[str, list[int]] = {name: _column("i", planes) for name, planes in blob.ints.items()}
    floats: dict[str, list[float]] = {name: _column("f", planes) for name, planes in blob.floats.items()}
    pieces: list[tuple[int, str]] = list(zip(ints["piece_id"], blob.texts, strict=True))
    stages = zip(
        (blob.names[each] for each in ints["stage"]),
        ints["stage_in"],
        ints["stage_out"],
        _groups(floats["stage_p"], ints["stage_n_ps"]),
        strict=True,
    )
    figures = _column("d", blob.draws)
    draws = iter(_groups(figures, [3] * (len(figures) // 3)))
    tokens = zip(
        (pieces[each][0] for each in ints["token"]),
        (pieces[each][1] for each in ints["token"]),
        floats["ms"],
        floats["p"],
        floats["logprob"],
        ints["rank"],
        floats["entropy"],
        _candidates(pieces, ints["top"], floats["top_p"], ints["n_tops"]),
        (Origin(blob.names[each]) for each in ints["origin"]),
        _groups(list(starmap(StageTrace, stages)), ints["n_stages"]),
        [Draw(*next(draws)) if drawn else None for drawn in ints["drawn"]],
        ints["n_bytes"],
        floats["p_end"],
        floats["decode_ms"],
        floats["sample_ms"],
        floats["text_ms"],
        _candidates(pieces, ints["ghost"], floats["ghost_p"], ints["n_ghosts"]),
        (each == 1 for each in ints["thinking"]),
        floats.get("log_total") or [0.0] * len(ints["token"]),
        strict=True,
    )
    prompt = zip(ints["prompt"], ints["prompt_bytes"], ints["prompt_control"], strict=True)
    return ReplyTrace(
        tokens=tuple(starmap(TokenTrace, tokens)),
        prompt=tuple(PromptToken(*pieces[each], n, control == 1) for each, n, control in prompt),
        n_cached=blob.n_cached,
        sampling=blob.sampling,
        seed=blob.seed,
        cells=blob.cells,
        drafting=blob.drafting,
        n_kept=blob.n_kept,
    )


def _candidates(
    pieces: list[tuple[int, str]], indexes: list[int], ps: list[float], counts: list[int]
) -> list[tuple[TopToken, ...]]:
    return _groups([TopToken(*pieces[index], p) for index, p in zip(indexes, ps, strict=True)], counts)


def _groups(items: Sequence[T], counts: Sequence[int]) -> list[tuple[T, ...]]:
    if sum(counts) != len(items):
        raise ValueError("the counts of a column do not fit it")
    left = iter(items)
    return [tuple(islice(left, count)) for count in counts]


def _planes(code: Literal["i", "f", "d"], values: Iterable[float]) -> bytes:
    column = array(code, values)
    if sys.byteorder == "big":
        column.byteswap()
    data = column.tobytes()
    return b"".join(data[plane :: column.itemsize] for plane in range(column.itemsize))


def _column(code: Literal["i", "f", "d"], planes: bytes) -> list[Any]:
    column: array[Any] = array(code)
    data = bytearray(len(planes))
    n_rows = len(planes) // column.itemsize
    for plane in range(column.itemsize):
        data[plane :: column.itemsize] = planes[plane * n_rows : (plane + 1) * n_rows]
    column.frombytes(bytes(data))
    if sys.byteorder == "big":
        column.byteswap()
    return column.tolist()


def save(connection: apsw.Connection, message_id: int, n_tokens: int, data: bytes) -> None:
    """Keeps the packed trace of a reply in place of an older one. Raises GoneError when the reply is gone."""
    execute(
        connection,
        "INSERT OR REPLACE INTO trace (message_id, format, n_tokens, n_bytes, data)"
        " SELECT id, ?, ?, ?, ? FROM message WHERE id = ?",
        (FORMAT, n_tokens, len(data), data, message_id),
    )
    if not connection.changes():
        raise GoneError(f"the trace of reply {message_id} cannot be kept", "The reply was deleted elsewhere.")


def load(connection: apsw.Connection, message_id: int) -> tuple[int, bytes] | None:
    """The format and the packed trace of a reply."""
    return execute(connection, "SELECT format, data FROM trace WHERE message_id = ?", (message_id,)).fetchone()


def n_bytes(connection: apsw.Connection, conversation_id: int) -> int:
    """What the traces of a conversation take, all branches together."""
    return execute(
        connection,
        "SELECT coalesce(sum(n_bytes), 0) FROM trace"
        " WHERE message_id IN (SELECT id FROM message WHERE conversation_id = ?)",
        (conversation_id,),
    ).get


def trim(connection: apsw.Connection, max_bytes: int) -> None:
    """Removes the oldest traces, until those that stay take no more than `max_bytes`."""
    if execute(connection, "SELECT coalesce(sum(n_bytes), 0) FROM trace").get <= max_bytes:
        return
    execute(
        connection,
        "DELETE FROM trace WHERE message_id <= (SELECT max(message_id) FROM"
        " (SELECT message_id, sum(n_bytes) OVER (ORDER BY message_id DESC) AS total FROM trace) WHERE total > ?)",
        (max_bytes,),
    )
