"""Where a model's thinking begins and ends: configured, in the template, in the vocabulary, or as most models do."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from app.engine.text.thinking import UNMARKED, ReplyFormat, begins_inside, reply_format
from app.engine.text.thinking_finder import ThinkingFinder
from app.engine.text.tokenizer import SpecialToken, Tokenizer
from tests.unit.engine.text.toy_vocab import ToyVocab

THINK = (b"<think>", b"</think>")
MISTRAL = (b"[THINK]", b"[/THINK]")


def vocab(*special: bytes) -> ToyVocab:
    made = ToyVocab()
    made.special = [*made.special, *(SpecialToken(text=text, id=900 + i) for i, text in enumerate(special))]
    return made


GPT_OSS = (b"<|channel|>analysis<|message|>", b"<|end|>")
KIMI = (b"<|open|>think<|sep|>", b"<|close|>think<|sep|>")


@pytest.mark.parametrize(
    ("template", "special", "configured", "marks"),
    [
        ("", (), None, THINK),
        ("{{ '<think>' }} … {{ '</think>' }}", (), None, THINK),
        ("[THINK]{{ x }}[/THINK]", THINK, None, MISTRAL),
        ("only [THINK] opens", (), None, THINK),
        ("nothing", MISTRAL, None, MISTRAL),
        ("<|channel|>analysis<|message|>x<|end|>", (), None, GPT_OSS),
        ("<|think|>{% if x %}<|channel>thought\n<channel|>", (), None, (b"<|channel>thought", b"<channel|>")),
        ("<mm:think></mm:think>", (), None, (b"<mm:think>", b"</mm:think>")),
        ("<|open|>think<|sep|>x<|close|>think<|sep|>", (), None, KIMI),
        ("<think:opensource></think:opensource>", (), None, (b"<think:opensource>", b"</think:opensource>")),
        ("<|think|><|end|>", (), None, (b"<|think|>", b"<|end|>")),
        ("", (b"<|inner_prefix|>", b"<|inner_suffix|>"), None, (b"<|inner_prefix|>", b"<|inner_suffix|>")),
        (
            "Here are my reasoning steps:\n[BEGIN FINAL RESPONSE]",
            (),
            None,
            (b"Here are my reasoning steps:", b"[BEGIN FINAL RESPONSE]"),
        ),
        ("<think></think>", (), ("(", ")"), (b"(", b")")),
    ],
)
def test_the_marks(
    template: str, special: tuple[bytes, ...], configured: tuple[str, str] | None, marks: tuple[bytes, bytes]
) -> None:
    assert reply_format(template, vocab(*special), configured).marks == marks


def test_a_format_is_known_only_where_something_says_it() -> None:
    assert not reply_format("", vocab(), None).known
    assert reply_format("", vocab(*THINK), None).known
    assert reply_format("", vocab(), ("(", ")")).known
    assert reply_format("", vocab(), ("<|think|>", "<|end|>")).headers, "its own headers come with known marks"


TAGS = reply_format("<think></think>", vocab(), None)
CHANNELS = reply_format("<|channel|>analysis<|message|><|end|>", vocab(), None)
TAGGED = reply_format("<|open|>think<|sep|><|close|>think<|sep|>", vocab(), None)


@pytest.mark.parametrize(
    ("replies", "text", "thinking", "answer"),
    [
        (TAGS, "<think>\nfirst\n</think>\n\nyes ", "first", "yes "),
        (TAGS, " first\n</think>yes", "first", "yes"),
        (TAGS, "<think>\n\n</think>\n\nyes", "", "yes"),
        (TAGS, "<think>cut", "cut", ""),
        (TAGS, "  a plain answer\n", "", "  a plain answer\n"),
        (TAGS, "write <think>x</think> around it", "", "write <think>x</think> around it"),
        (TAGS, "<think>a</think>b<think>c</think>d", "a", "b<think>c</think>d"),
        (UNMARKED, "<think>a</think>b", "", "<think>a</think>b"),
        (
            CHANNELS,
            "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b",
            "a",
            "b",
        ),
        (CHANNELS, "<|channel|>final<|message|>b", "", "b"),
        (CHANNELS, "<|channel|>analysis<|message|>cut", "cut", ""),
        (CHANNELS, "plain ", "", "plain "),
        (
            CHANNELS,
            "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary<|message|>b<|end|>"
            "<|start|>assistant<|channel|>analysis<|message|>c<|end|><|start|>assistant<|channel|>final<|message|>d",
            "a\n\nc",
            "b\n\nd",
        ),
        (
            TAGGED,
            "a<|close|>think<|sep|><|open|>response<|sep|>b<|close|>response<|sep|><|close|>message<|sep|>",
            "a",
            "b",
        ),
    ],
)
def test_a_reply_divides_into_thinking_and_answer(replies: ReplyFormat, text: str, thinking: str, answer: str) -> None:
    assert replies.split(text) == (thinking, answer)


def found(replies: ReplyFormat, chunks: Iterable[str], *, inside: bool = False) -> tuple[str, str]:
    """What a finder calls thinking and answer at the end of a text."""
    finder, text = ThinkingFinder(replies, inside=inside), ""
    for chunk in chunks:
        finder.push(chunk)
        text += chunk
    finder.finish()
    start, end, answer = finder.span(len(text)) or (0, 0, 0)
    return text[start:end], text[answer:]


OPENED = "<|channel|>analysis<|message|>"
NEXT = "<|start|>assistant"


@pytest.mark.parametrize(
    ("replies", "text", "inside", "thinking", "answer"),
    [
        (TAGS, "<think>\nfirst\n</think>\n\nyes ", False, "first", "yes "),
        (TAGS, "\n <think>first</think>yes", False, "first", "yes"),
        (TAGS, " first </think>yes", True, "first", "yes"),
        (TAGS, "<think>\n\n</think>\n\nyes", False, "", "yes"),
        (TAGS, "<think> never closed </thin", False, "never closed </thin", ""),
        (TAGS, "<think>", False, "", ""),
        (TAGS, "<thi", False, "", "<thi"),
        (TAGS, "  a plain answer\n", False, "", "  a plain answer\n"),
        (TAGS, "write <think>x</think> around it", False, "", "write <think>x</think> around it"),
        (TAGS, "<think>a</think><think>c</think>d", False, "a", "<think>c</think>d"),
        (TAGS, "<think>a <think> b</think>c", False, "a <think> b", "c"),
        (CHANNELS, f"{OPENED}a<|end|>{NEXT}<|channel|>final<|message|>b", False, "a", "b"),
        (CHANNELS, "<|channel|>final<|message|>b", False, "", "b"),
        (CHANNELS, f"{OPENED}a<|end|>{NEXT}{OPENED}c<|end|>d", False, f"a<|end|>{NEXT}{OPENED}c", "d"),
        (TAGGED, "a<|close|>think<|sep|><|open|>response<|sep|>b", True, "a", "b"),
    ],
)
def test_thinking_is_found_whatever_the_chunks(
    replies: ReplyFormat, text: str, inside: bool, thinking: str, answer: str
) -> None:
    assert found(replies, [text], inside=inside) == (thinking, answer)
    assert found(replies, text, inside=inside) == (thinking, answer), "one character at a time"


def test_what_may_begin_a_mark_is_undecided() -> None:
    finder = ThinkingFinder(TAGS, inside=False)
    finder.push("\n<thi")
    assert (finder.n_undecided, finder.span(0)) == (5, None)
    finder.push("nk>\n")
    assert (finder.n_undecided, finder.span(9)) == (0, (0, 0, 9)), "no answer before the closing mark"
    finder.push("so </th")
    assert (finder.n_undecided, finder.span(16)) == (0, (9, 11, 16))
    finder.push("ink>\n")
    assert finder.span(21) == (9, 11, 21)
    finder.push("yes")
    assert (finder.in_answer, finder.span(24)) == (True, (9, 11, 21))


def controlled(*special: str) -> ToyVocab:
    made = ToyVocab()
    for text in special:
        made.control(text)
    return made


def shown(made: ToyVocab, replies: ReplyFormat) -> list[bytes]:
    return sorted(made.named_pieces[token] for token in replies.visible_tokens(Tokenizer(made), made))


def test_control_tokens_of_the_marks_are_shown_and_others_are_not() -> None:
    mistral = controlled("[THINK]", "[/THINK]", "[INST]")
    assert shown(mistral, reply_format("", mistral, None)) == [b"[/THINK]", b"[THINK]"]
    gemma = controlled("<|channel>", "<channel|>", "<|turn>")
    assert shown(gemma, reply_format("<|channel>thought<channel|>", gemma, None)) == [b"<channel|>", b"<|channel>"]
    assert shown(gemma, UNMARKED) == []


def test_a_header_is_shown_only_where_a_part_of_it_is_text_anyway() -> None:
    cohere = controlled("<|START_THINKING|>", "<|END_THINKING|>", "<|START_TEXT|>")
    assert shown(cohere, reply_format("", cohere, None)) == [b"<|END_THINKING|>", b"<|START_THINKING|>"]
    solar = controlled("<|think|>", "<|end|>", "<|begin|>", "<|content|>")
    found = shown(solar, reply_format("<|think|><|end|>", solar, None))
    assert found == [b"<|begin|>", b"<|end|>", b"<|think|>"]


def test_what_ends_a_reply_is_never_shown() -> None:
    made = controlled("<|think|>", "<|end|>")
    made.eog |= {made.id(b"<|end|>")}
    assert shown(made, reply_format("<|think|><|end|>", made, None)) == [b"<|think|>"]


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
