from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from app.domain.conversation import Role
from app.domain.generation import PromptSpans
from app.engine.text.detokenizer import Detokenizer
from app.engine.text.prompt import Prompt, PromptBuilder
from app.engine.text.renderer import Renderer
from app.engine.text.template import ChatTemplate
from app.engine.text.thinking import reply_format
from app.engine.text.tokenizer import SpecialToken, Tokenizer
from app.protocol.commands import ChatMessage
from tests.unit.engine.text.toy_vocab import CHATML, SPECIAL_TEXTS, ToyVocab

VOCAB = ToyVocab()
TRIMMING = CHATML.replace("m.content", "m.content | trim")
LLAMA2 = (
    "{% for m in messages %}{% if m.role == 'user' %}{{ bos_token }}[INST] {{ m.content }} [/INST]"
    "{% elif m.role == 'assistant' %} {{ m.content }} </s>{% else %}{{ raise_exception('no system') }}"
    "{% endif %}{% endfor %}"
)
DEFAULT_SYSTEM = "{% if messages[0].role != 'system' %}<|im_start|>system\ndefault<|im_end|>\n{% endif %}" + CHATML


def user(text: str) -> ChatMessage:
    return ChatMessage(Role.USER, text)


def reply(text: str) -> ChatMessage:
    return ChatMessage(Role.ASSISTANT, text)


def system(text: str) -> ChatMessage:
    return ChatMessage(Role.SYSTEM, text)


def builder(vocab: ToyVocab = VOCAB) -> PromptBuilder:
    """With ChatML, which needs no process."""
    return PromptBuilder(vocab, ChatTemplate(None, vocab, Renderer()))


def text_of(prompt: Prompt, vocab: ToyVocab = VOCAB) -> str:
    return vocab.named(prompt.ids).decode()


def test_a_prompt_is_the_rendered_text_with_special_tokens_where_the_template_wrote_them():
    prompt = builder().build((user("a world"),))
    start, end, newline = VOCAB.im_start, VOCAB.im_end, 10
    turn = [start, VOCAB.id(b"user"), newline, 97, VOCAB.id(b" world"), end, newline]
    assert prompt.ids == [*turn, start, VOCAB.id(b"assistant"), newline]
    assert prompt.notices == ()


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("tag", SPECIAL_TEXTS)
def test_nobody_can_write_a_special_token(role: Role, tag: str):
    special = {token.id for token in VOCAB.special if role is not Role.ASSISTANT or not token.user_defined}
    for text in (tag, f"a{tag}b", f"a {tag} b", tag * 2, tag[:-1], tag[1:], f"\n{tag}\n", f"{tag[:3]}{tag}{tag[3:]}"):
        messages = [user("x"), ChatMessage(role, text), user("y")]
        clean = [user("x"), ChatMessage(role, "z"), user("y")]
        prompt, expected = builder().build(messages), builder().build(clean)
        assert [i for i in prompt.ids if i in special] == [i for i in expected.ids if i in special]
        assert text_of(prompt) == text_of(expected).replace("\nz<", f"\n{text}<")


def test_bos_stands_in_front_exactly_once(renderer: Renderer):
    vocab = ToyVocab(add_bos=True)
    for source in (
        "{{ messages[0].content }}",
        "{{ bos_token ~ messages[0].content }}",
        "<s><s>{{ messages[0].content }}",
    ):
        ids = PromptBuilder(vocab, ChatTemplate(source, vocab, renderer)).build((user("a<s>"),)).ids
        assert ids == [vocab.bos, 97, *b"<s>"]
    ids = PromptBuilder(VOCAB, ChatTemplate("{{ messages[0].content }}", VOCAB, renderer)).build((user("a"),)).ids
    assert ids == [97]


# -- spans


def test_spans_divide_system_history_and_turn():
    one = builder().build((user("Hi"),))
    assert one.spans == PromptSpans(0, 0, len(one.ids))
    two = builder().build((system("be brief"), user("Hi")))
    assert two.spans == PromptSpans(len(two.ids) - len(one.ids), 0, len(one.ids))
    more = builder().build((system("be brief"), user("Hello"), reply("world"), user("Hi")))
    assert more.spans.n_system == two.spans.n_system
    assert more.spans.n_turn == len(one.ids)
    assert sum((more.spans.n_system, more.spans.n_history, more.spans.n_turn)) == len(more.ids)


def test_bos_belongs_to_the_first_part():
    vocab = ToyVocab(add_bos=True)
    assert builder(vocab).build((user("hi"),)).spans == PromptSpans(0, 0, 11)
    assert builder(vocab).build((user("hi"), reply("x"), user("hi"))).spans == PromptSpans(0, 14, 10)


def test_a_default_system_prompt_counts_as_system(renderer: Renderer):
    prompt = PromptBuilder(VOCAB, ChatTemplate(DEFAULT_SYSTEM, VOCAB, renderer)).build((user("Hi"),))
    assert prompt.spans.n_turn == len(builder().build((user("Hi"),)).ids)
    assert prompt.spans.n_system == len(prompt.ids) - prompt.spans.n_turn > 0


def test_spans_of_a_template_without_special_tokens_around_messages(renderer: Renderer):
    vocab = ToyVocab(add_bos=True)
    prompts = PromptBuilder(vocab, ChatTemplate(LLAMA2, vocab, renderer))
    prompt = prompts.build((system("sys"), user("a"), reply("b"), user("c")))
    n_turn = len("[INST] c [/INST]") + 1
    assert text_of(prompt, vocab) == "<s>[INST] sys\n\na [/INST] b </s><s>[INST] c [/INST]"
    assert prompt.spans == PromptSpans(len("[INST] sys\n\n") + 1 - 2, len("\n\na [/INST] b ") + 1, n_turn)


def test_a_template_that_does_not_let_marks_through_still_gives_the_right_prompt(renderer: Renderer):
    source = CHATML.replace("m.content", "(m.content[:1] | upper ~ m.content[1:] ~ m.content | length)")
    prompt = PromptBuilder(VOCAB, ChatTemplate(source, VOCAB, renderer)).build((user("hi"),))
    assert text_of(prompt) == "<|im_start|>user\nHi2<|im_end|>\n<|im_start|>assistant\n"
    assert prompt.spans == PromptSpans(0, 0, len(prompt.ids))


@given(st.lists(st.tuples(st.sampled_from(list(Role)), st.text()), max_size=5), st.text())
def test_spans_always_sum_to_the_prompt_and_no_byte_is_lost(turns: list[tuple[Role, str]], last: str):
    messages = [ChatMessage(role, text.replace("\ud800", "")) for role, text in turns] + [user(last)]
    prompt = builder().build(messages)
    spans = prompt.spans
    assert min(spans.n_system, spans.n_history, spans.n_turn) >= 0
    assert spans.n_system + spans.n_history + spans.n_turn == len(prompt.ids)
    plain = "".join(f"<|im_start|>{m.role}\n{m.content}<|im_end|>\n" for m in messages) + "<|im_start|>assistant\n"
    if not any("\ufdd0" <= c <= "\ufdef" for m in messages for c in m.content):
        assert text_of(prompt) == plain


# -- sampled replies keep their ids


SAMPLED = [VOCAB.id(b"He"), VOCAB.id(b"llo"), *b" wor", *b"ld"]


def test_a_remembered_reply_keeps_the_ids_that_were_sampled():
    prompts = builder()
    first = prompts.build((user("Hi"),))
    again = (user("Hi"), reply("Hello world"), user("more"))
    in_cache = [*first.ids, *SAMPLED, VOCAB.im_end]
    anew = prompts.build(again).ids
    assert anew[: len(first.ids)] != first.ids  # the newline of the header merges with the reply's first letter
    prompts.remember("Hello world", SAMPLED)
    assert prompts.build(again).ids[: len(in_cache)] == in_cache


def test_only_the_models_own_messages_are_replaced():
    prompts = builder()
    prompts.remember("Hello world", SAMPLED)
    assert prompts.build((user("Hello world"),)).ids == builder().build((user("Hello world"),)).ids
    assert prompts.build((user("a"), reply("Hello world!"), user("b"))).ids == (
        builder().build((user("a"), reply("Hello world!"), user("b"))).ids
    )


@pytest.mark.parametrize("text", [" Hello", "Hello\n\n", "\n Hello \t"])
def test_white_space_around_a_reply(renderer: Renderer, text: str):
    ids = list(text.encode())
    messages = (user("a"), reply(text), user("b"))
    plain = builder()
    plain.remember(text, ids)
    prompt = plain.build(messages)
    assert text_of(prompt) == text_of(builder().build(messages))
    assert prompt.ids[: 9 + len(ids)] == [*builder().build((user("a"),)).ids, *ids]
    trimming = PromptBuilder(VOCAB, ChatTemplate(TRIMMING, VOCAB, renderer))
    before = trimming.build(messages)
    trimming.remember(text, ids)
    assert text_of(trimming.build(messages)) == text_of(before)


def test_a_special_text_that_the_model_spelled_stays_text_and_one_that_it_sampled_stays_a_token():
    prompts = builder()
    messages = (user("a"), reply("<think>b<|im_end|>"), user("c"))
    spelled = list(b"<think>b<|im_end|>")
    prompts.remember("<think>b<|im_end|>", spelled)
    at = len(prompts.build((user("a"),)).ids)
    assert prompts.build(messages).ids[at:][: len(spelled) + 1] == [*spelled, VOCAB.im_end]
    prompts.remember("<think>b<|im_end|>", [VOCAB.think, *b"b<|im_end|>"])
    assert prompts.build(messages).ids[at:][:2] == [VOCAB.think, 98]
    assert VOCAB.think not in builder().build((user("<think>"), *messages[2:])).ids


def test_a_template_that_drops_the_thoughts_of_old_replies_finds_their_tags(renderer: Renderer):
    source = CHATML.replace("m.content", "m.content.split('</think>')[-1].lstrip('\n')")
    vocab = ToyVocab()
    vocab.special.append(SpecialToken(text=b"</think>", id=255, user_defined=True))
    prompts = PromptBuilder(vocab, ChatTemplate(source, vocab, renderer))
    text = text_of(prompts.build((user("a"), reply("<think>b</think>\n\nc"), user("d</think>e"))), vocab)
    assert "\nc<|im_end|>" in text
    assert "\nd</think>e<|im_end|>" in text


def test_a_reply_that_a_stop_string_cut_keeps_its_ids_up_to_there():
    prompts = builder()
    prompts.remember("Hello w", [VOCAB.id(b"He"), VOCAB.id(b"llo"), VOCAB.id(b" world"), 33])
    at = len(prompts.build((user("a"),)).ids)
    ids = prompts.build((user("a"), reply("Hello w"), user("b"))).ids
    assert ids[at:][:5] == [VOCAB.id(b"He"), VOCAB.id(b"llo"), 32, 119, VOCAB.im_end]


def test_a_reply_that_ended_inside_a_character_is_kept_up_to_there():
    prompts = builder()
    prompts.remember("a€", [97, VOCAB.id(b"\xe2\x82"), 0xAC, VOCAB.id(b"\xe2\x82")])
    at = len(prompts.build((user("a"),)).ids)
    ids = prompts.build((user("a"), reply("a€"), user("b"))).ids
    assert ids[at:][:4] == [97, VOCAB.id(b"\xe2\x82"), 0xAC, VOCAB.im_end]


def test_ids_that_are_not_the_text_are_tokenised_anew():
    prompts = builder()
    prompts.remember("Hello", list(b"other"))
    prompts.remember("", [97])
    prompts.remember(" \n", [32, 10])
    messages = (user("a"), reply("Hello"), user("b"))
    assert prompts.build(messages).ids == builder().build(messages).ids


@given(st.text(max_size=12), st.lists(st.integers(0, 12), max_size=4), st.integers(0, 6))
def test_whatever_is_remembered_the_prompts_text_is_the_same(text: str, cuts: list[int], n_dropped: int):
    edges = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    ids = [i for a, b in itertools.pairwise(edges) for i in VOCAB.tokenize(text[a:b].encode())]
    prompts, messages = builder(), (user("a"), reply(text), user("b"))
    prompts.remember(text, ids[: len(ids) - n_dropped])
    assert text_of(prompts.build(messages)) == text_of(builder().build(messages))


# -- vocabularies that put a space in front


def test_the_space_of_a_sentencepiece_vocabulary_is_stripped_after_a_special_token(renderer: Renderer):
    source = "{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}"
    for vocab, expected in ((VOCAB, False), (ToyVocab(adds_space=True), True)):
        template = ChatTemplate(source, vocab, renderer)
        assert PromptBuilder(vocab, template).build((user("a"),)).strip_space is expected
        assert builder(vocab).build((user("a"),)).strip_space is False


def test_a_reply_whose_space_was_stripped_is_remembered_with_it():
    vocab = ToyVocab(adds_space=True)
    prompts = builder(vocab)
    sampled = [32, vocab.id(b"He"), vocab.id(b"llo")]
    prompts.remember("Hello", sampled)
    at = len(prompts.build((user("a"),)).ids)
    ids = prompts.build((user("a"), reply("Hello"), user("b"))).ids
    assert ids[at:][:4] == [*sampled, vocab.im_end]


def test_the_text_behind_a_remembered_reply_gets_no_space(renderer: Renderer):
    vocab = ToyVocab(adds_space=True)
    source = "{% for m in messages %}{{ m.content }}.{% endfor %}"
    prompts = PromptBuilder(vocab, ChatTemplate(source, vocab, renderer))
    prompts.remember("ab", [97, 98])
    assert text_of(prompts.build((user("x"), reply("ab"), user("y"))), vocab) == " x.ab.y."


# -- thinking


HARMONY = (
    "{% for m in messages %}{% if '<|channel|>' in m.content %}{{ raise_exception('channels') }}{% endif %}"
    "<|start|>{{ m.role }}{% if m.role == 'assistant' %}<|channel|>final{% endif %}<|message|>{{ m.content }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|start|>assistant{% endif %}"
    "{# <|channel|>analysis<|message|> #}"
)
KEEPS = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.reasoning_content %}[THINK]{{ m.reasoning_content }}[/THINK]{% endif %}"
    "{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
DROPS = CHATML + "{# [THINK] [/THINK] #}"


def thinker(source: str, vocab: ToyVocab, renderer: Renderer) -> PromptBuilder:
    template = ChatTemplate(source, vocab, renderer)
    replies = reply_format(template.evidence, vocab, None)
    vocab.show(replies.visible_tokens(Tokenizer(vocab), vocab))
    return PromptBuilder(vocab, template, replies)


def test_a_template_that_refuses_channels_in_the_content_renders_every_turn(renderer: Renderer):
    said = "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>yes"
    prompt = thinker(HARMONY, VOCAB, renderer).build((user("a"), reply(said), user("b")))
    assert prompt.notices == ()
    assert text_of(prompt) == (
        "<|start|>user<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>yes<|end|>"
        "<|start|>user<|message|>b<|end|><|start|>assistant"
    )


@pytest.mark.parametrize(("source", "before"), [(KEEPS, "[THINK]hm[/THINK]"), (DROPS, "")])
def test_earlier_thinking_goes_back_as_the_template_wants_it_or_is_left_out(
    renderer: Renderer, source: str, before: str
):
    vocab = ToyVocab()
    opened, closed = vocab.control("[THINK]"), vocab.control("[/THINK]")
    prompt = thinker(source, vocab, renderer).build((user("a"), reply("[THINK]hm[/THINK]yes"), user("b")))
    turn = f"<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n{before}yes<|im_end|>\n"
    assert text_of(prompt, vocab) == f"{turn}<|im_start|>user\nb<|im_end|>\n<|im_start|>assistant\n"
    assert [token for token in prompt.ids if token in (opened, closed)] == ([opened, closed] if before else [])


def test_thinking_whose_marks_the_template_does_not_know_is_split_too(renderer: Renderer):
    said = replace(reply("<think>hm</think>yes"), answer_at=17)
    prompt = thinker(DROPS, ToyVocab(), renderer).build((user("a"), said, user("b")))
    assert "<|im_start|>assistant\nyes<|im_end|>" in text_of(prompt)


def test_a_user_cannot_write_marks_of_thinking(renderer: Renderer):
    vocab = ToyVocab()
    marks = {vocab.control("[THINK]"), vocab.control("[/THINK]")}
    prompt = thinker(KEEPS, vocab, renderer).build((user("[THINK]hm[/THINK]a"), reply("yes [THINK]"), user("b")))
    assert marks.isdisjoint(prompt.ids)


def test_the_marks_are_in_the_text_of_a_reply_and_each_part_keeps_its_sampled_ids(renderer: Renderer):
    vocab = ToyVocab()
    opened, closed = vocab.control("[THINK]"), vocab.control("[/THINK]")
    prompts = thinker(KEEPS, vocab, renderer)
    asked = prompts.build((user("Hi"),))
    spelt = [*b"Hel", *b"lo"]
    ids = [opened, *spelt, closed, *b"us", *b"er"]
    text = Detokenizer(vocab).push(ids)
    assert text == "[THINK]Hello[/THINK]user"
    prompts.remember(text, ids)
    follow_up = prompts.build((user("Hi"), reply(text), user("more")))
    in_cache = [*asked.ids, *ids, vocab.im_end]
    assert follow_up.ids[: len(in_cache)] == in_cache


def test_an_answer_keeps_its_sampled_ids_where_the_thinking_is_left_out(renderer: Renderer):
    vocab = ToyVocab()
    vocab.control("[THINK]")
    closed = vocab.control("[/THINK]")
    prompts = thinker(DROPS, vocab, renderer)
    prompts.remember("hm[/THINK]\n\nuser", [*b"hm", closed, 10, 10, *b"us", *b"er"])
    follow_up = prompts.build((user("Hi"), reply("hm[/THINK]\n\nuser"), user("more")))
    spelt = [vocab.im_start, vocab.id(b"assistant"), 10, *b"us", *b"er", vocab.im_end]
    assert any(follow_up.ids[i : i + len(spelt)] == spelt for i in range(len(follow_up.ids)))


def test_what_comes_after_a_remembered_text_is_the_templates_to_write():
    prompts = builder()
    prompts.remember("Hello world", [*SAMPLED, VOCAB.im_start])
    follow_up = prompts.build((user("Hi"), reply("Hello world"), user("more")))
    first = prompts.build((user("Hi"),))
    in_cache = [*first.ids, *SAMPLED, VOCAB.im_end]
    assert follow_up.ids[: len(in_cache)] == in_cache
