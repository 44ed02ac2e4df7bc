"""Whatever the size becomes, wherever the view stands: every row that is seen is laid out."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult

from app.domain.conversation import Message, Role
from app.tui.transcript.layout import Layout
from app.tui.transcript.widget import Transcript

TEXT = "\n\n".join(
    f"## Part {n}\n\n"
    + "some words that wrap in a narrow view " * (n % 5 + 1)
    + "\n\n- one\n- two\n\n```py\nx = 1\n```"
    for n in range(12)
)


def _message(number: int, role: Role) -> Message:
    return Message(id=number, conversation_id=1, parent_id=None, role=role, content=TEXT, created_ms=0)


class HostApp(App[None]):
    def compose(self) -> ComposeResult:
        yield Transcript()

    def on_mount(self) -> None:
        roles = (Role.USER, Role.ASSISTANT)
        self.query_one(Transcript).show(
            [
                Message(id=n, conversation_id=1, parent_id=None, role=roles[n % 2], content=TEXT, created_ms=0)
                for n in range(6)
            ]
        )


def holes(view: Transcript) -> list[int]:
    """The rows of the view that have nothing although there is something."""
    top, n_rows = view.scroll_offset.y, view.scrollable_content_region.height
    layout = view._layout  # pyright: ignore[reportPrivateUsage] no other way
    rows = [row for row in range(top, min(top + n_rows, layout.height)) if layout.line(row) is None]
    blanks = {row for row in rows if layout.entries[layout.locate(row)[0]].n_laid and _between(layout, row)}
    return [row for row in rows if row not in blanks] + ([-1] if layout.height >= n_rows > layout.height - top else [])


def _between(layout: Layout, row: int) -> bool:
    index, within = layout.locate(row)
    return within == layout.entries[index].height - 1


@pytest.mark.parametrize("up", [1, 3, 6, 10, 17, 40, 100, 400])
async def test_a_scrolled_view_has_no_holes_after_a_resize(up: int) -> None:
    app = HostApp()
    async with app.run_test(size=(60, 20)) as pilot:
        view = app.query_one(Transcript)
        await pilot.pause()
        view.action_scroll_rows(-up)
        for size in [(140, 40), (60, 20), (140, 20), (60, 40), (80, 24), (200, 60), (40, 10), (80, 50)]:
            await pilot.resize_terminal(*size)
            await pilot.pause()
            assert (size, holes(view)) == (size, [])
            view.action_scroll_rows(-up)
            await pilot.pause()
            assert (size, holes(view)) == (size, [])
