from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from app.engine.text.detokenizer import Detokenizer
from app.engine.text.tokenizer import piece_text
from tests.unit.engine.text.toy_vocab import ToyVocab

VOCAB = ToyVocab()


@given(st.text(), st.lists(st.integers(0, 60)))
def test_any_cut_gives_the_same_text(text: str, cuts: list[int]):
    ids = list(text.encode())
    edges = sorted({0, len(ids), *(min(cut, len(ids)) for cut in cuts)})
    detokenizer = Detokenizer(VOCAB)
    assert "".join(detokenizer.push(ids[a:b]) for a, b in itertools.pairwise(edges)) == text


def test_a_character_waits_for_its_last_byte_and_is_dropped_when_that_never_comes():
    detokenizer = Detokenizer(VOCAB)
    assert [detokenizer.push([i]) for i in "a€b".encode()] == ["a", "", "", "€", "b"]
    assert detokenizer.push([0xF0, 0x9F]) == ""


def test_only_bytes_that_cannot_be_text_are_replaced():
    assert Detokenizer(VOCAB).push([0x61, 0xFF, 0x62]) == "a\ufffdb"


def test_control_tokens_have_no_text_and_user_defined_ones_have():
    assert Detokenizer(VOCAB).push([VOCAB.im_start, VOCAB.think, 0x61, VOCAB.im_end]) == "<think>a"


def test_one_space_is_stripped_at_the_start_and_nowhere_else():
    detokenizer = Detokenizer(VOCAB, strip_space=True)
    assert detokenizer.push([VOCAB.im_start]) == ""
    assert detokenizer.push(list(b"  a")) == " a"
    assert detokenizer.push(list(b" b")) == " b"
    assert Detokenizer(VOCAB).push(list(b" a")) == " a"


def test_pieces_for_traces():
    assert piece_text(VOCAB, VOCAB.im_end) == "<|im_end|>"
    assert piece_text(VOCAB, VOCAB.id(b"\xe2\x82")) == "<0xE2><0x82>"
    assert piece_text(VOCAB, VOCAB.id(b" world")) == " world"
    assert piece_text(VOCAB, 0xFF) == "<0xFF>"
