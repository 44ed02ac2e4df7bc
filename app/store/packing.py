"""A reply's trace as one small blob: msgpack of columns under zlib. Knows no SQL.

Every field is a column over all tokens; each distinct pair of id and text stands once, in a dictionary. Figures are
float32: a probability keeps seven digits, where a trace promises 1e-5. The bytes of a column lie in planes (all first
bytes, then all second ones…), because exponents and high bytes repeat and the rest is noise. With 40 alternatives a
token takes about 320 bytes in a reply of 100 tokens and 240 in one of 1,000; the stage report adds to that.
"""

from __future__ import annotations

import sys
import zlib
from array import array
from collections.abc import Iterable, Sequence
from itertools import islice, starmap
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct

from app.domain.generation import CellSpan, DraftCounts
from app.domain.reply_trace import ReplyTrace
from app.domain.sampling import SamplingParams
from app.domain.trace import Draw, Origin, PromptToken, StageTrace, TokenTrace, TopToken

FORMAT = 1
"""Of the blobs that `pack` makes. What a number means never changes."""

_LEVEL = 6

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
        return _trace(msgspec.msgpack.decode(zlib.decompress(data), type=_Blob))
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
