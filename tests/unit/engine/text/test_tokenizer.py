from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.text.marks import GUARD, clean
from app.engine.text.tokenizer import Guard, SpecialToken, Tokenizer
from tests.unit.engine.text.toy_vocab import SPECIAL_TEXTS, ToyVocab

VOCAB = ToyVocab()
GUARDED = Guard(VOCAB)
SPECIAL_IDS = {special.id for special in VOCAB.special}


def tokenize(text: str) -> list[int]:
    return [i for _, ids in Tokenizer(VOCAB).chunks(text.encode()) for i in ids]


def test_special_tokens_are_found_and_the_rest_is_raw():
    assert Tokenizer(VOCAB).chunks(b"<s>Hello<|im_end|>\n", 10) == [
        (10, [VOCAB.bos]),
        (13, [VOCAB.id(b"Hello")]),
        (18, [VOCAB.im_end]),
        (28, [10]),
    ]


def test_the_longest_special_text_wins():
    assert tokenize("<|im_end|>tool<|im_end|>") == [VOCAB.tool, VOCAB.im_end]


def test_white_space_that_a_special_token_swallows():
    assert tokenize("a \n[LEFT] b") == [97, VOCAB.left, 32, 98]
    assert tokenize("a [RIGHT] \nb") == [97, 32, VOCAB.right, 98]
    assert tokenize("[RIGHT]  [LEFT]") == [VOCAB.right, VOCAB.left]
    assert Tokenizer(VOCAB).chunks(b"[RIGHT]  b") == [(0, [VOCAB.right]), (9, [98])]


def test_empty_text():
    assert tokenize("") == []


@given(st.lists(st.sampled_from([*SPECIAL_TEXTS, " ", "a", "<", "|", "\n", "é"]), max_size=8))
def test_guarded_text_never_has_a_special_id_and_keeps_its_bytes(parts: list[str]):
    text = "".join(parts)
    ids = tokenize(f"<|im_start|>{GUARDED(text)}<|im_end|>")
    assert ids[0] == VOCAB.im_start
    assert ids[-1] == VOCAB.im_end
    assert SPECIAL_IDS.isdisjoint(ids[1:-1])
    assert VOCAB.named(ids[1:-1]) == text.encode()


@pytest.mark.parametrize("tag", SPECIAL_TEXTS)
def test_no_special_token_arises_across_the_border_of_a_message(tag: str):
    for cut in range(1, len(tag)):
        assert SPECIAL_IDS.isdisjoint(tokenize(GUARDED(tag[:cut]) + tag[cut:]))
        assert tokenize(tag[:cut] + GUARDED(tag[cut:])) == tokenize(tag[:cut]) + tokenize(GUARDED(tag[cut:]))


@pytest.mark.parametrize(("a", "b"), itertools.product(SPECIAL_TEXTS, repeat=2))
def test_tags_inside_tags(a: str, b: str):
    for at in range(len(a)):
        text = a[:at] + b + a[at:]
        assert SPECIAL_IDS.isdisjoint(tokenize(GUARDED(text)))


def test_overlapping_occurrences_are_all_guarded():
    vocab = ToyVocab()
    vocab.special = [SpecialToken(text=b"<><", id=300, control=True)]
    guarded = Guard(vocab)("<><><")
    assert "<><" not in guarded
    assert guarded.replace(GUARD, "") == "<><><"


def test_ordinary_text_and_user_defined_white_space_stay_as_they_are():
    vocab = ToyVocab()
    vocab.special = [
        SpecialToken(text=b"    ", id=300, user_defined=True),
        SpecialToken(text=b"ab", id=301, user_defined=True),
    ]
    assert Guard(vocab)("    ab") == "    ab"
    assert GUARDED("a plain sentence, 1 and 2.") == "a plain sentence, 1 and 2."


def test_a_space_is_put_in_front_of_text_that_begins_only():
    vocab = ToyVocab(adds_space=True)
    tokenizer = Tokenizer(vocab)
    assert vocab.named(tokenizer.text_ids(f"a{GUARD}b".encode())) == b" ab"
    assert vocab.named(tokenizer.text_ids(f"{GUARD}a".encode())) == b" a"
    assert vocab.named(tokenizer.text_ids(b"a", continued=True)) == b"a"
    assert tokenizer.text_ids(b" world", continued=True) == [vocab.id(b" world")]
    assert [i for _, ids in tokenizer.chunks(b"a<s>b", continued=True) for i in ids] == [97, vocab.bos, 32, 98]


def test_clean_takes_marks_and_lone_surrogates_out_of_foreign_text():
    assert clean("a\ufdd0b\ufdefc\ud800d\ue000") == "a\ufffdb\ufffdc?d\ue000"
