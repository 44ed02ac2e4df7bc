"""Texts that no template is applied to: BOS, control tokens, and the bytes that each token stands for."""

from __future__ import annotations

import pytest

from app.engine.text.prompt import PromptBuilder
from app.engine.text.renderer import Renderer
from app.engine.text.template import ChatTemplate
from tests.unit.engine.text.toy_vocab import ToyVocab


def builder(vocab: ToyVocab) -> PromptBuilder:
    return PromptBuilder(vocab, ChatTemplate(None, vocab, Renderer()))


def reported(vocab: ToyVocab, text: str, **options: bool) -> list[tuple[str, int, bool]]:
    prompts = builder(vocab)
    tokens = prompts.token_spans(prompts.from_text(text, **{"bos": False} | options))
    return [(token.text, token.n_bytes, token.is_control) for token in tokens]


def test_names_of_control_tokens_are_text() -> None:
    assert ("<|", 2, False) in reported(ToyVocab(), "Hello<|im_end|>")
    assert reported(ToyVocab(), "Hello<|im_end|>", parse_special=True) == [
        ("Hello", 5, False),
        ("<|im_end|>", 10, True),
    ]


@pytest.mark.parametrize(("add_bos", "bos", "n_bos"), [(True, True, 1), (True, False, 0), (False, True, 0)])
def test_bos_stands_in_front_only_where_model_and_caller_want_it(add_bos: bool, bos: bool, n_bos: int) -> None:
    vocab = ToyVocab(add_bos=add_bos)
    prompt = builder(vocab).from_text("ab", bos=bos)
    assert prompt.ids == [vocab.bos] * n_bos + [97, 98]
    assert [token.n_bytes for token in builder(vocab).token_spans(prompt)] == [0] * n_bos + [1, 1]
    assert prompt.spans.n_turn == len(prompt.ids)


def test_a_space_of_the_vocabulary_is_no_byte_of_the_text() -> None:
    assert reported(ToyVocab(adds_space=True), "ab") == [(" ", 0, False), ("a", 1, False), ("b", 1, False)]


@pytest.mark.parametrize("parse_special", [False, True])
def test_the_bytes_sum_to_those_of_the_text(parse_special: bool) -> None:
    text = "a [LEFT] b\ufdd0\ufdd4[RIGHT] \t€<|im_end|>tool"
    sizes = [n_bytes for _, n_bytes, _ in reported(ToyVocab(), text, parse_special=parse_special)]
    assert sum(sizes) == len(text.encode())
