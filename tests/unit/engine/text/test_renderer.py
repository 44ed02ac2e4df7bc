from __future__ import annotations

import datetime
import threading
import time

import pytest

from app.engine.text.renderer import Renderer, TemplateError, TemplateHungError

LIMIT = 1000


def test_transformers_environment(renderer: Renderer):
    source = (
        "{% for m in messages %}\n    {% if m == 'b' %}{% continue %}{% endif %}\n{{ m }}{% endfor %}"
        "{% generation %}<{{ {'k': 'é<&'} | tojson }}>{% endgeneration %}{{ missing }}{{ strftime_now('%Y') }}"
    )
    year = str(datetime.date.today().year)
    assert renderer.render(source, {"messages": ["a", "b", "c"]}, LIMIT) == f'ac<{{"k": "é<&"}}>{year}'


def test_any_text_survives_the_pipe(renderer: Renderer):
    text = "\x00\n\r\u2028\ud800\U0001f600\ufdd0"
    assert renderer.render("{{ text }}", {"text": text}, LIMIT) == text


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__ }}{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ self.__init__.__globals__.__builtins__.__import__('os').system('id') }}",
        "{{ lipsum.__globals__['os'].popen('id').read() }}",
        "{{ raise_exception.__globals__['sys'].exit() }}",
        "{% set f = '{0.__class__.__init__.__globals__}'.format %}{{ f(cycler) }}",
        "{{ (''|attr('for' ~ 'mat'))('{0.__class__}', 1).x.y }}",
        "{% for k in messages %}{{ k.clear() }}{% endfor %}{{ messages.append(1) }}",
        "{% if %}",
        "{{ x.y.z }}",
        "{{ 1 / 0 }}",
        "{{ 'a' | no_such_filter }}",
        "{% include 'a' %}",
        "{% import 'os' as os %}{{ os.system('id') }}",
        "{{ range(10 ** 9) | list }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ raise_exception('roles must alternate') }}",
        "{% for i in range(9999) %}xxxx{% endfor %}",
        "{{ '(' * 100000 ~ 'a' }}",
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    ],
)
def test_hostile_or_broken_templates_are_refused(renderer: Renderer, source: str):
    with pytest.raises(TemplateError):
        renderer.render(source, {"messages": []}, LIMIT)
    assert renderer.render("still {{ 'here' }}", {}, LIMIT) == "still here"


def test_the_reason_is_reported(renderer: Renderer):
    with pytest.raises(TemplateError, match="roles must alternate"):
        renderer.render("{{ raise_exception('roles must alternate') }}", {}, LIMIT)
    with pytest.raises(TemplateError, match="more than 5 characters"):
        renderer.render("123456", {}, 5)
    assert renderer.render("12345", {}, 5) == "12345"


@pytest.mark.parametrize(
    "source",
    [
        "{{ 9 ** (9 ** 9) }}",
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{{ ('a' * 100000) | replace('a', 'b' * 100000) | length }}",
        "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(64) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{{ '%1000000000d' % 1 }}",
        "{{ 'A' * 10 ** 11 }}",
    ],
)
def test_bombs_end_at_the_deadline_or_the_memory_limit(source: str):
    hasty = Renderer(deadline_s=0.3)
    began = time.monotonic()
    with pytest.raises((TemplateError, TemplateHungError)):
        hasty.render(source, {}, LIMIT)
    assert time.monotonic() - began < 10
    assert hasty.render("{{ 1 + 1 }}", {}, LIMIT) == "2"
    hasty.close()


def test_the_deadline_works_in_any_thread():
    hasty = Renderer(deadline_s=0.2)
    errors: list[Exception] = []

    def run() -> None:
        try:
            hasty.render("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", {}, LIMIT)
        except TemplateHungError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(10)
    assert [str(error) for error in errors] == ["it ran longer than 0.2 s"]


def test_close_ends_the_process_and_may_be_repeated():
    short = Renderer()
    assert short.render("{{ 1 }}", {}, LIMIT) == "1"
    process = short._process
    assert process is not None
    short.close()
    short.close()
    assert process.returncode is not None


def test_a_process_that_cannot_be_started_is_an_error_of_the_template(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    lame = Renderer()
    lame.start()
    with pytest.raises(TemplateHungError, match="did not start"):
        lame.render("{{ 1 }}", {}, LIMIT)
    lame.close()
