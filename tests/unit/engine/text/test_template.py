from __future__ import annotations

import pytest

from app.domain.conversation import Role
from app.engine.text.renderer import Renderer, TemplateHungError
from app.engine.text.template import ChatTemplate, ReplyMessage
from app.protocol.commands import ChatMessage
from tests.unit.engine.text.toy_vocab import CHATML, ToyVocab

VOCAB = ToyVocab()
SYSTEM = ChatMessage(Role.SYSTEM, "be brief")
USER = ChatMessage(Role.USER, "hi")
REPLY = ChatMessage(Role.ASSISTANT, "hello")
NO_SYSTEM = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}[{{ m.role }}]{{ m.content | trim }}[/]{% endfor %}"
    "{% if add_generation_prompt %}[model]{% endif %}"
)
TYPED = "{% for m in messages %}<{{ m.role }}>{% for part in m.content %}{{ part.text }}{% endfor %}{% endfor %}"
FALLBACK = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"


class ScriptedRenderer(Renderer):
    """Answers the probes by the rule given, then raises `error`."""

    def __init__(self) -> None:
        super().__init__()
        self.error: Exception | None = None

    def render(self, source: str, context: dict[str, object], limit: int) -> str:
        if self.error:
            raise self.error
        return "".join(f"[{m['content']}]" for m in context["messages"])  # type: ignore[attr-defined]  # toy


def test_a_plain_template(renderer: Renderer):
    template = ChatTemplate(CHATML, VOCAB, renderer)
    assert template.notices == ()
    assert not template.is_fallback
    assert template.user_opener == "<|im_start|>user\n"
    assert template.render([SYSTEM, USER]) == (f"<|im_start|>system\nbe brief<|im_end|>\n{FALLBACK}", ())


def test_a_template_without_system_role_gets_the_system_prompt_in_the_first_user_message(renderer: Renderer):
    template = ChatTemplate(NO_SYSTEM, VOCAB, renderer)
    assert template.render([SYSTEM, USER, REPLY, USER]).text == (
        "<s>[user]be brief\n\nhi[/][assistant]hello[/][user]hi[/][model]"
    )
    assert template.user_opener == "[user]"


def test_a_system_prompt_that_would_be_dropped_in_silence_is_merged_too(renderer: Renderer):
    source = "{% for m in messages if m.role != 'system' %}({{ m.content }}){% endfor %}"
    assert ChatTemplate(source, VOCAB, renderer).render([SYSTEM, USER]).text == "(be brief\n\nhi)"


def test_neighbours_of_one_role_are_joined_where_the_template_insists_on_alternation(renderer: Renderer):
    rendered = ChatTemplate(NO_SYSTEM, VOCAB, renderer).render([USER, USER])
    assert rendered == ("<s>[user]hi\n\nhi[/][model]", ())


def test_typed_content(renderer: Renderer):
    template = ChatTemplate(TYPED, VOCAB, renderer)
    assert template.notices == ()
    assert template.render([SYSTEM, USER]).text == "<system>be brief<user>hi"


def test_what_a_template_is_given(renderer: Renderer):
    source = "{{ messages[0].content }}|{{ eos_token }}|{{ date_string|length }}"
    assert ChatTemplate(source, VOCAB, renderer).render([USER]).text == "hi|</s>|11"


def test_what_nobody_set_is_left_out_so_that_a_templates_own_defaults_act(renderer: Renderer):
    source = (
        "{% for tool in tools %}{{ tool }}{% endfor %}{{ messages[0].content }}"
        "|{{ tools is defined }}|{{ documents is defined }}|{{ enable_thinking | default(false) }}"
    )
    assert ChatTemplate(source, VOCAB, renderer).render([USER]).text == "hi|False|False|False"


def test_a_template_that_wants_null_tools_gets_them(renderer: Renderer):
    source = "{% if tools is not none %}{{ tools | tojson }}{% endif %}{{ messages[0].content }}"
    template = ChatTemplate(source, VOCAB, renderer)
    assert (template.notices, template.render([USER])) == ((), ("hi", ()))


def test_a_templates_variables(renderer: Renderer):
    source = "{{ messages[0].content }}{% if enable_thinking is false %}<think></think>{% endif %}{{ effort }}"
    given = {"enable_thinking": False, "effort": "low", "messages": "not these"}
    template = ChatTemplate(source, VOCAB, renderer, variables=given)
    assert template.render([USER]).text == "hi<think></think>low"


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "thinking"])
def test_earlier_thinking_has_the_name_that_the_template_reads(renderer: Renderer, name: str):
    source = "{% for m in messages %}{% if m.NAME %}({{ m.NAME }}){% endif %}{{ m.content }};{% endfor %}"
    template = ChatTemplate(source.replace("NAME", name), VOCAB, renderer)
    thought = ReplyMessage(Role.ASSISTANT, "yes", thinking="hm")
    assert template.render([USER, thought, REPLY, USER]).text == "hi;(hm)yes;hello;hi;"


def test_a_reply_that_ended_in_its_thinking_is_left_out_where_the_template_refuses_it(renderer: Renderer):
    source = NO_SYSTEM.replace("[{{", "{{ raise_exception('empty') if not m.content }}[{{")
    template = ChatTemplate(source, VOCAB, renderer)
    silent = ReplyMessage(Role.ASSISTANT, "", thinking="hm")
    assert template.render([USER, silent, USER]) == ("<s>[user]hi\n\nhi[/][model]", ())


def test_the_evidence_of_a_templates_marks_holds_what_it_makes_of_thinking(renderer: Renderer):
    source = (
        "{% macro tag(name) %}<|open|>{{ name }}<|sep|>{% endmacro %}{% for m in messages %}"
        "{% if m.thinking %}{{ tag('think') }}{{ m.thinking }}{% endif %}{{ m.content }}{% endfor %}"
    )
    evidence = ChatTemplate(source, VOCAB, renderer).evidence
    assert evidence.startswith(source)
    assert "<|open|>think<|sep|>T_probe" in evidence
    assert ChatTemplate(None, VOCAB, Renderer()).evidence == ""


def test_no_template_is_chatml_with_a_notice():
    template = ChatTemplate(None, VOCAB, Renderer())
    assert template.is_fallback
    assert template.notices == ("The model has no chat template: ChatML is used instead.",)
    assert template.render([USER]) == (FALLBACK, ())


@pytest.mark.parametrize(
    "source", ["{% if %}", "{{ raise_exception('x') }}", "no message", "", "{{ messages[9].x.y }}"]
)
def test_a_template_that_never_works_is_chatml_with_a_notice(renderer: Renderer, source: str):
    template = ChatTemplate(source, VOCAB, renderer)
    assert template.is_fallback
    assert len(template.notices) == 2
    assert template.notices[0].startswith("The model's chat template does not work: ")
    assert template.render([USER]).text == FALLBACK


def test_an_override_wins_and_a_broken_one_leaves_the_models_own(renderer: Renderer):
    assert ChatTemplate(CHATML, VOCAB, renderer, override=TYPED).render([USER]).text == "<user>hi"
    template = ChatTemplate(CHATML, VOCAB, renderer, override="{% x %}")
    assert template.render([USER]).text == FALLBACK
    assert not template.is_fallback
    assert template.notices[0].startswith("The configured chat template does not work: ")


def test_a_hostile_error_text_is_made_safe(renderer: Renderer):
    template = ChatTemplate("{{ raise_exception('a\x1b]52;c\nb' ~ 'x' * 400) }}", VOCAB, renderer)
    assert "\x1b" not in template.notices[0]
    assert "\n" not in template.notices[0]
    assert len(template.notices[0]) < 220


def test_a_failure_in_one_conversation_is_a_notice_and_the_template_stays(renderer: Renderer):
    source = "{% if messages|length > 3 %}{{ raise_exception('too long') }}{% endif %}" + CHATML
    template = ChatTemplate(source, VOCAB, renderer)
    rendered = template.render([USER, REPLY, USER, REPLY, USER])
    assert rendered.text.startswith("<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nhello")
    assert rendered.notices == ("The chat template failed, ChatML is used instead: TemplateError: too long",)
    assert template.render([USER]) == (FALLBACK, ())


def test_a_template_that_hung_is_not_tried_again():
    scripted = ScriptedRenderer()
    template = ChatTemplate("x", VOCAB, scripted)
    assert template.render([USER]).text == "[hi]"
    scripted.error = TemplateHungError("it ran longer than 2 s")
    assert template.render([USER]).notices == (
        "The chat template failed, ChatML is used instead: it ran longer than 2 s",
    )
    scripted.error = None
    assert template.render([USER]) == (FALLBACK, ())
    assert template.is_fallback
