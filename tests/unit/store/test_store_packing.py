"""A packed trace is the trace, to the precision that it promises; what cannot be read is None."""

from __future__ import annotations

import math
import random
import zlib

import msgspec
import pytest

from app.domain.generation import CellSpan, DraftCounts
from app.domain.sampling import SamplingParams
from app.domain.trace import Draw, Origin, PromptToken, ReplyTrace, StageTrace, TokenTrace, TopToken
from app.store.traces import FORMAT, pack, unpack

FIGURES = ("ms", "p", "logprob", "entropy", "p_end", "decode_ms", "sample_ms", "text_ms")


def token(draw: random.Random, n_top: int = 10) -> TokenTrace:
    """A token as a real model makes them: full mantissas, a vocabulary of 5,000."""
    weights = sorted((draw.random() ** 4 for _ in range(n_top + 1)), reverse=True)
    ps = [weight / sum(weights) for weight in weights]
    ids = [int(5000 * draw.random() ** 3) for _ in ps]
    top = tuple(TopToken(each, f" w{each}", p) for each, p in zip(ids[:n_top], ps, strict=False))
    return TokenTrace(
        ids[0],
        f" w{ids[0]}",
        11 + draw.random(),
        ps[0],
        math.log(ps[0]),
        draw.randrange(1, 4),
        draw.random() * 3,
        top,
        n_bytes=6,
        p_end=draw.random() / 1e4,
        decode_ms=10 + draw.random(),
        sample_ms=draw.random(),
        text_ms=draw.random() / 10,
    )


def rich_token() -> TokenTrace:
    top = (TopToken(7, " sky", 0.1), TopToken(2, "<|im_end|>", 1e-30))
    return TokenTrace(
        49_151,
        "<0xF0>",
        0.1,
        0.1,
        -math.inf,
        49_152,
        2.0,
        top,
        Origin.DRAFT,
        stages=(StageTrace("top-k", 49_152, 40, (0.2, 0.0)), StageTrace("dist", 40, 1, ())),
        draw=Draw(0.123456789012345678, 0.1, 0.3),
        ghosts=(TopToken(9, " sea", 0.25), TopToken(10, "", 0.0)),
        thinking=True,
    )


def test_what_is_whole_or_short_comes_back_as_it_was():
    trace = ReplyTrace(
        tokens=(TokenTrace(1, "a", 1.5, 0.5, -1.0, 1, 2.0), rich_token(), TokenTrace(1, "a", 0.25, 0.5, -1.0, 3, 2.0)),
        prompt=(PromptToken(1, "<|im_start|>", 0, True), PromptToken(7, " sky", 4)),
        n_cached=812,
        sampling=SamplingParams(temperature=0.3, force=("#7",), logit_bias={"é": 2.0}, stop=("\n\n",)),
        seed=2**32 - 2,
        cells=(CellSpan("system", 12, "reused"), CellSpan("free", 100)),
        drafting=DraftCounts(3, 4, 2, (3, 1), (2, 0)),
    )
    got = unpack(FORMAT, pack(trace))
    assert got is not None
    assert msgspec.structs.replace(got, tokens=()) == msgspec.structs.replace(trace, tokens=())
    assert (got.tokens[0], got.tokens[2]) == (trace.tokens[0], trace.tokens[2])
    rich, read = trace.tokens[1], got.tokens[1]
    assert (read.id, read.text, read.rank, read.origin) == (rich.id, rich.text, rich.rank, rich.origin)
    assert read.thinking
    assert (read.draw, read.logprob) == (rich.draw, -math.inf)
    assert [(each.id, each.text) for each in read.top + read.ghosts] == [
        (each.id, each.text) for each in rich.top + rich.ghosts
    ]
    assert [(s.name, s.n_in, s.n_out, len(s.p)) for s in read.stages] == [("top-k", 49_152, 40, 2), ("dist", 40, 1, 0)]
    assert [each.p for each in read.ghosts] == [0.25, 0.0]


def test_an_empty_trace_is_one_too():
    assert unpack(FORMAT, pack(ReplyTrace())) == ReplyTrace()


def test_figures_keep_seven_digits():
    draw = random.Random(4)
    trace = ReplyTrace(tokens=tuple(token(draw) for _ in range(200)))
    got = unpack(FORMAT, pack(trace))
    assert got is not None
    for before, after in zip(trace.tokens, got.tokens, strict=True):
        for name in FIGURES:
            assert getattr(after, name) == pytest.approx(getattr(before, name), rel=1e-7)
        assert [each.p for each in after.top] == pytest.approx([each.p for each in before.top], rel=1e-7)
    assert unpack(FORMAT, pack(got)) == got


@pytest.mark.parametrize(("n_tokens", "n_top", "most"), [(100, 10, 130), (500, 10, 110), (500, 0, 40)])
def test_a_token_takes_few_bytes(n_tokens: int, n_top: int, most: int):
    draw = random.Random(n_tokens)
    data = pack(ReplyTrace(tokens=tuple(token(draw, n_top) for _ in range(n_tokens))))
    assert len(data) / n_tokens < most


def damaged() -> list[bytes]:
    data = pack(ReplyTrace(tokens=(rich_token(),), prompt=(PromptToken(7, " sky", 4),)))
    plain = zlib.decompress(data)
    draw = random.Random(9)
    flipped = [bytearray(plain) for _ in range(200)]
    for each in flipped:
        each[draw.randrange(len(each))] ^= 1 << draw.randrange(8)
    cut = [data[:end] for end in range(0, len(data), 7)]
    return [*cut, b"", b"nonsense", *(zlib.compress(bytes(each)) for each in flipped)]


def test_no_damage_raises():
    results = [unpack(FORMAT, data) for data in damaged()]
    assert results.count(None) > len(results) / 4
    assert all(result is None or isinstance(result, ReplyTrace) for result in results)


def test_a_newer_format_is_not_read():
    assert unpack(FORMAT + 1, pack(ReplyTrace())) is None
