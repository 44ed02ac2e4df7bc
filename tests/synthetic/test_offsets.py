"""Which bytes of a text its tokens stand for, in vocabularies of every kind, through llama.cpp's own tokenizers."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterator
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

os.environ["GGML_NO_BACKTRACE"] = "1"

from app.engine.native import library
from app.engine.native.library import C
from app.engine.native.vocab import NativeVocab
from app.engine.text.align import PromptTokenMapper
from app.engine.text.tokenizer import Tokenizer
from tests.synthetic.pieces import sentencepiece, unigram, wordpiece, write_vocabulary
from tests.synthetic.vocabulary import made

KINDS: dict[str, Callable[[], dict[str, object]]] = {
    "bpe": lambda: made(2000),
    "wordpiece": wordpiece,
    "unigram": unigram,
    "sentencepiece": sentencepiece,
}
WORDS = st.sampled_from(
    ["the", "Hello", "WORLD", "café", "e\u0301", "two", "  ", " ", "\n\t", "あ", "한", "😀", "ﬁ", "x", ",", "[UNK]"]
)


@pytest.fixture(scope="module", params=list(KINDS))
def vocab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeVocab]:
    library.start()
    path = write_vocabulary(tmp_path_factory.mktemp("vocabulary") / "v.gguf", KINDS[request.param]())
    params = C.llama_model_default_params()
    params.vocab_only = True
    model = C.llama_model_load_from_file(os.fsencode(path), params)
    assert model, library.last_errors()
    yield NativeVocab(model)
    C.llama_model_free(model)


def segments(vocab: NativeVocab, text: str) -> list[tuple[str, str]]:
    """Each token's piece and the text that it stands for."""
    data = text.encode()
    chunks = Tokenizer(vocab).chunks(data)
    pieces = [vocab.named_pieces[token].decode(errors="replace") for _, ids in chunks for token in ids]
    sizes = PromptTokenMapper(vocab).sizes(data, chunks)
    ends = list(accumulate(sizes))
    assert sum(sizes) == (len(data) if sizes else 0)
    assert min(sizes, default=0) >= 0
    return [
        (piece, data[end - n : end].decode(errors="replace")) for piece, n, end in zip(pieces, sizes, ends, strict=True)
    ]


def test_a_text_of_known_words(vocab: NativeVocab) -> None:
    found = [text.strip() for _, text in segments(vocab, "Hello the two, cafe") if text.strip()]
    assert "".join(found) == "Hellothetwo,cafe"
    assert found[-1].endswith("e")


@settings(max_examples=150, deadline=None)
@given(parts=st.lists(WORDS, max_size=12))
def test_the_bytes_of_all_tokens_are_the_text_and_known_ones_are_found(vocab: NativeVocab, parts: list[str]) -> None:
    found = segments(vocab, "".join(parts))
    if any("UNK" in piece or "unk" in piece for piece, _ in found):
        return
    for piece, text in found:
        if plain(piece).isalpha() and text:
            assert plain(text) == plain(piece)


def plain(text: str) -> str:
    """Without case, accents and blanks."""
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return "".join(part for part in parts if unicodedata.category(part) != "Mn" and not part.isspace())
