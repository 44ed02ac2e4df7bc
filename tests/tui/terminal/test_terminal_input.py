"""What a real terminal sends: Alt+Enter, text and pastes into the conversation, keys behind one that opens a dialog."""

from __future__ import annotations

from pathlib import Path

from tests.tui.chat.test_unsent import pty_chat


def test_bytes_reach_what_they_are_meant_for(tmp_path: Path) -> None:
    with pty_chat(tmp_path) as chat:
        chat.wait_for("● ready")
        chat.type("first\x1b\rsecond")
        chat.wait_for("first")
        chat.wait_for("second")
        assert "one two" not in chat.text  # nothing was sent
        chat.type("\x0c")
        chat.wait_for("Cleared")
        chat.type("\x13crea")  # Ctrl+S and what is sought there, in one write
        chat.wait_for("creative")
        chat.wait_for(r"crea\s")
        chat.type("\r")
        chat.wait_for("· creative")
        chat.type("go\r")
        chat.wait_for("one two")
        chat.type("\tsummarize it \x1b[200~pasted\x1b[201~")
        chat.wait_for("summarize it pasted")
        chat.type("\x11")
        assert chat.wait() == 0, chat.last_words
