"""The process in which chat templates run.

Templates come out of model files and are hostile until shown otherwise. jinja2's sandbox keeps them from Python, the
cap from endless text, `app.engine.text.sandbox` from the machine; the parent (`renderer`) kills this process at the
deadline.
A request and its answer are one line of JSON each.
"""

from __future__ import annotations

import datetime
import importlib
import json
import signal
import sys
from functools import lru_cache
from typing import Any, NoReturn

from jinja2 import Template, TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from app.engine.text.sandbox import allow_cpu, confine

_LAZY = ("jinja2.constants", "jinja2.debug", "pprint")
"""What jinja2 imports when it is first needed; no file can be opened then."""


class _Generation(Extension):
    """`{% generation %}…{% endgeneration %}` marks what a trainer looks at; here it is its body."""

    tags = {"generation"}  # noqa: RUF012 - jinja2 declares it as an instance variable

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _raise_exception(message: str) -> NoReturn:
    raise TemplateError(message)


def _strftime_now(pattern: str) -> str:
    return datetime.datetime.now().strftime(pattern)


def _tojson(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


@lru_cache(maxsize=2)
def _compile(source: str) -> Template:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _tojson
    return environment.from_string(source, globals={"raise_exception": _raise_exception, "strftime_now": _strftime_now})


def render(source: str, context: dict[str, Any], limit: int) -> str:
    """Renders as Transformers' `apply_chat_template` does.

    Raises ValueError when the result is longer than `limit` characters, and whatever a template may raise.
    """
    now = datetime.datetime.now()
    dates = {"date_string": now.strftime("%d %b %Y"), "datetime": now.strftime("%Y-%m-%d %H:%M:%S")}
    parts: list[str] = []
    size = 0
    for part in _compile(source).generate(dates | context):
        size += len(part)
        if size > limit:
            raise ValueError(f"it writes more than {limit} characters")
        parts.append(part)
    return "".join(parts)


def _answer(line: bytes) -> dict[str, str]:
    try:
        return {"text": render(**json.loads(line))}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"[:500]}


def main() -> None:
    """Serves until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in _LAZY:
        importlib.import_module(name)
    render("{{ strftime_now('%c') }}", {}, 100)  # reads the time zone's file
    confine()
    out = sys.stdout.buffer
    out.write(b"ready\n")
    out.flush()
    for line in sys.stdin.buffer:
        allow_cpu()
        out.write(json.dumps(_answer(line)).encode() + b"\n")
        out.flush()
