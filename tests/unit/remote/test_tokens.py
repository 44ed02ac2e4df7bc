import math

import pytest

from app.domain.trace import TopToken
from app.remote.chunks import LikelyToken
from app.remote.tokens import traces

A = LikelyToken(" a", math.log(0.5), b" a", 5)
B = LikelyToken("b", math.log(0.25), b"b", 6)


def test_a_token_has_what_the_server_says_and_no_more() -> None:
    token = traces([LikelyToken("b", B.logprob, b"b", 6, (A, B))], 12.0, 1, thinking=False)[0]
    assert (token.id, token.text, token.ms, token.n_bytes, token.rank) == (6, "b", 12.0, 1, 2)
    assert token.p == pytest.approx(0.25)
    assert token.top == (TopToken(5, " a", pytest.approx(0.5)), TopToken(6, "b", pytest.approx(0.25)))
    assert math.isnan(token.entropy)
    assert math.isnan(token.p_end)
    assert (token.decode_ms, token.stages, token.draw) == (0.0, (), None)


def test_an_id_and_a_rank_that_are_not_said_are_unknown() -> None:
    top = (LikelyToken("d", -1.0, b"d"), LikelyToken("c", -3.0, b"c"))
    known, unlisted = traces(
        [LikelyToken("c", -3.0, b"c", None, top), LikelyToken("e", -4.0, b"e", None, top)], 1.0, 2, thinking=False
    )
    assert (known.rank, unlisted.rank) == (2, 0)
    assert known.id == known.top[1].id < 0
    assert known.id != known.top[0].id


@pytest.mark.parametrize("logprob", [-9999.0, -3.4e38, -math.inf])
def test_what_stands_for_minus_infinity_is_that(logprob: float) -> None:
    token = traces([LikelyToken("c", logprob, b"c")], 1.0, 1, thinking=False)[0]
    assert (token.p, token.logprob) == (0.0, -math.inf)


def test_no_probability_is_above_one() -> None:
    assert traces([LikelyToken("c", 1e-9, b"c")], 1.0, 1, thinking=False)[0].p == 1.0


def test_bytes_that_are_no_text_are_named() -> None:
    assert traces([LikelyToken("", -1.0, b"\xc3")], 1.0, 0, thinking=False)[0].text == "<0xC3>"


@pytest.mark.parametrize(
    ("raws", "n_bytes", "sizes"),
    [
        ([b" a", b"b"], 3, [2, 1]),
        ([b"\xe2\x82", b"\xac"], 3, [2, 1]),
        ([b" a", b"</s>"], 2, [2, 0]),
        ([b"a"], 4, [4]),
        ([b"abc"], 0, [0]),
    ],
    ids=["in step", "half characters", "a control token", "more text than token", "held back"],
)
def test_the_bytes_of_a_chunk_are_those_of_its_tokens(raws: list[bytes], n_bytes: int, sizes: list[int]) -> None:
    tokens = traces([LikelyToken("", -1.0, raw) for raw in raws], 8.0, n_bytes, thinking=False)
    assert [token.n_bytes for token in tokens] == sizes
    assert [token.ms for token in tokens] == [8.0, 0.0][: len(raws)]
