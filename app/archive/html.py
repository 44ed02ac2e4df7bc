"""Conversations as one HTML page that needs no network and runs no script."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from markdown_it import MarkdownIt

from app.archive.markdown import facts, heading
from app.domain.archive import ArchivedConversation
from app.domain.conversation import Message
from app.domain.text import safe_text

_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ max-width: 46rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif; }}
article {{ border-top: 1px solid #8886; }}
h3 {{ font-size: .85rem; color: #777; }}
pre {{ overflow-x: auto; padding: .75rem; background: #8882; }}
dl {{ display: grid; grid-template-columns: max-content auto; gap: 0 1rem; font-size: .85rem; }}
dd {{ margin: 0; overflow-wrap: anywhere; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #181818; color: #ddd; }} a {{ color: #8cf; }} }}
</style></head><body>
"""


def as_html(conversations: Iterable[ArchivedConversation]) -> str:
    """Returns the page: the current branch of each conversation. HTML and pictures in messages are shown as text."""
    shown = list(conversations)
    title = shown[0].title if len(shown) == 1 else f"{len(shown)} conversations"
    return _HEAD.format(title=escape(safe_text(title))) + "\n".join(map(_section, shown)) + "\n</body></html>\n"


def _section(conversation: ArchivedConversation) -> str:
    rows = "".join(f"<dt>{name}</dt><dd>{escape(safe_text(str(v)))}</dd>" for name, v in facts(conversation).items())
    articles = "\n".join(map(_article, conversation.branch))
    return f"<h1>{escape(safe_text(conversation.title))}</h1>\n<dl>{rows}</dl>\n{articles}"


def _article(message: Message) -> str:
    body: str = (
        MarkdownIt("commonmark", {"html": False}).disable("image").enable("table").render(safe_text(message.content))
    )
    return f"<article><h3>{escape(heading(message))}</h3>\n{body}</article>"
