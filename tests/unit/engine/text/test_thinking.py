"""Where a model's thinking begins and ends: configured, in the template, in the vocabulary, or as most models do."""

from __future__ import annotations

import pytest

from app.engine.text.thinking import begins_inside, thinking_marks
from app.engine.text.vocab import SpecialToken
from tests.unit.engine.text.toy_vocab import ToyVocab

THINK = (b"<think>", b"</think>")
MISTRAL = (b"[THINK]", b"[/THINK]")


def vocab(*special: bytes) -> ToyVocab:
    made = ToyVocab()
    made.special = [*made.special, *(SpecialToken(text=text, id=900 + i) for i, text in enumerate(special))]
    return made


@pytest.mark.parametrize(
    ("template", "special", "configured", "marks"),
    [
        (None, (), None, THINK),
        ("{{ '<think>' }} … {{ '</think>' }}", (), None, THINK),
        ("[THINK]{{ x }}[/THINK]", THINK, None, MISTRAL),
        ("only [THINK] opens", (), None, THINK),
        ("nothing", MISTRAL, None, MISTRAL),
        ("<|channel|>analysis<|message|>x<|end|>", (), None, (b"<|channel|>analysis<|message|>", b"<|end|>")),
        ("<think></think>", (), ("(", ")"), (b"(", b")")),
    ],
)
def test_the_marks(
    template: str | None, special: tuple[bytes, ...], configured: tuple[str, str] | None, marks: tuple[bytes, bytes]
) -> None:
    assert thinking_marks(template, vocab(*special), configured) == marks


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        (b"assistant\n<think>\n", True),
        (b"assistant\n<think>", True),
        (b"assistant\n<think>\n\n</think>\n\n", False),
        (b"about <think> tags\nassistant\n", False),
        (b"", False),
    ],
)
def test_a_prompt_may_end_inside(text: bytes, inside: bool) -> None:
    made = ToyVocab()
    assert begins_inside(made.tokenize(text), made, THINK) is inside
