from __future__ import annotations

from collections.abc import Callable

import pytest
from textual.app import App, ComposeResult

from app.domain.conversation import Message, ReplyState, Role
from app.tui.transcript.widget import Transcript


class TranscriptApp(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.view = Transcript()
        self.heard: list[tuple[bool, int]] = []

    def compose(self) -> ComposeResult:
        yield self.view

    def on_mount(self) -> None:
        self.view.focus()

    def on_transcript_follow_changed(self, event: Transcript.FollowChanged) -> None:
        self.heard.append((event.following, event.new_lines))

    def rows(self) -> list[str]:
        """What the terminal shows, without trailing spaces."""
        view = self.view
        return [strip.text.rstrip() for strip in view.render_lines(view.size.region)]

    @property
    def at_end(self) -> bool:
        return self.view.scroll_offset.y == self.view.max_scroll_y


@pytest.fixture
def app() -> TranscriptApp:
    return TranscriptApp()


@pytest.fixture
def message() -> Callable[..., Message]:
    def make(content: str, role: Role = Role.ASSISTANT, state: ReplyState = ReplyState.DONE) -> Message:
        return Message(id=1, conversation_id=1, parent_id=None, role=role, content=content, created_ms=0, state=state)

    return make
