"""The HTML page: complete, and nothing in it is active or fetched."""

from __future__ import annotations

from app.archive.html import as_html
from app.domain.archive import ArchivedConversation, ArchivedMessage
from app.domain.conversation import Message, Role


def page(*texts: str, title: str = "Sea") -> str:
    rows = tuple(
        ArchivedMessage(
            Message(id=n, conversation_id=0, parent_id=n - 1 or None, role=Role.USER, content=text, created_ms=0)
        )
        for n, text in enumerate(texts, 1)
    )
    return as_html([ArchivedConversation(title=title, created_ms=0, updated_ms=0, tip=len(rows), messages=rows)])


def test_messages_are_rendered() -> None:
    found = page("How **deep**?", "```python\nprint(1 < 2)\n```")
    assert "<title>Sea</title>" in found
    assert "<strong>deep</strong>" in found
    assert '<code class="language-python">print(1 &lt; 2)\n</code>' in found
    assert found.count("<article>") == 2


def test_nothing_in_a_message_or_title_is_active_or_fetched() -> None:
    hostile = "<script>x</script> <img src=//a onerror=x> ![p](https://a/b.png) [l](javascript:x) \x1b[2J\u202e\n\n<b>b"
    found = page(hostile, title=f"</title>{hostile}")
    for active in ("<script", "<img", 'href="javascript', "<b>", "\x1b", "\u202e"):
        assert active not in found
    assert "default-src 'none'" in found
    assert found.count("</title>") == 1
