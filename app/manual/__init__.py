"""The manual: one Markdown file per topic, for the repository, `tok help` and F1 in the chat."""

from __future__ import annotations

import re
from importlib import resources

TOPICS: dict[str, str] = {
    "chat": "write, stop, find, copy",
    "keys": "every key and its command",
    "inspector": "tokens, sampler and prompt",
    "steering": "step, fork, several replies",
    "panels": "speed, latency, KV cache, endings",
    "cli": "every command and option",
    "json": "JSON output and trace files",
    "configuration": "settings, presets, keys, themes",
    "models": "models, GPU builds, memory",
    "scaling": "servers, several machines",
    "loop": "how a model writes a reply",
    "architecture": "processes, floors, glossary",
    "measuring": "benchmarks, perplexity, tests",
    "troubleshooting": "files, erasing, exit codes",
}
"""Name of each topic and what it is about, in reading order."""

_LINK = re.compile(r"\[([^]]+)\]\((\w+)\.md\)")
_MARKER = re.compile(r"^<!--.*?-->\n", re.MULTILINE)


def read_topic(name: str) -> str:
    """Returns the Markdown of a topic. Raises KeyError for a name that is not in TOPICS."""
    if name not in TOPICS:
        raise KeyError(name)
    text = resources.files("app.manual").joinpath(f"{name}.md").read_text(encoding="utf-8")
    return _MARKER.sub("", text)


def without_links(text: str, way: str = "{label}") -> str:
    """Returns `text` with its links to topics replaced by `way`, which may contain `{label}` and `{topic}`."""
    return _LINK.sub(lambda match: way.format(label=match[1], topic=match[2]), text)


def find(words: str) -> list[tuple[str, str]]:
    """Returns pairs of a topic and a line for the lines that contain every word, ignoring case."""
    wanted = words.casefold().split()
    return [
        (name, line.strip())
        for name in TOPICS
        for line in read_topic(name).splitlines()
        if wanted and all(word in line.casefold() for word in wanted)
    ]
