from __future__ import annotations

from textual.geometry import Offset
from textual.selection import Selection

from app.domain.conversation import ReplyState, Role

TEXT = "A paragraph that is long enough to be wrapped on a narrow screen, with **bold** words.\n\n"
CODE = "```py\nx = 1\nname = 'a string that is far too long for this narrow screen'\n```\n"


async def test_copied_text_is_what_was_written(app, message) -> None:
    async with app.run_test(size=(40, 24)):
        app.view.show([message("first\n\tsecond", Role.USER), message(TEXT + CODE + "- item\n")])
        everything = app.view.get_selection(Selection(None, None))
        assert everything == ("first\n\tsecond\n\n" + TEXT + CODE + "- item\n", "\n")


async def test_dragging_selects_and_streaming_does_not_disturb_it(app, message) -> None:
    async with app.run_test(size=(40, 24)) as pilot:
        app.view.begin_reply(message("", state=ReplyState.STREAMING))
        app.view.append("漢字 wide and text\n\n")
        await pilot.mouse_down(app.view, offset=(2, 0))
        await pilot.hover(app.view, offset=(6, 0))
        app.view.append("more\n\nand more")
        await pilot.hover(app.view, offset=(10, 0))
        await pilot.mouse_up(app.view, offset=(10, 0))
        assert app.screen.get_selected_text() == "漢字 wide"
        app.view.append(" text")
        assert app.screen.get_selected_text() == "漢字 wide"
        marked = [
            s.text for s in app.view.render_lines(app.view.size.region)[0] if s.style.bgcolor != app.view._base.bgcolor
        ]
        assert "".join(marked) == "漢字 wide"


async def test_a_selection_of_rows_that_are_gone_is_empty(app, message) -> None:
    async with app.run_test(size=(40, 24)):
        app.view.show([message("one")])
        for selection in (
            Selection(Offset(90, 50), Offset(95, 60)),
            Selection(Offset(0, 1), None),
            Selection(None, Offset(500, 1)),
            Selection(Offset(3, -4), Offset(2, -1)),
        ):
            app.screen.selections = {app.view: selection}
            app.view.render_lines(app.view.size.region)
            assert app.screen.get_selected_text() in ("", "one")
        app.view.show([])
        assert app.screen.get_selected_text() == ""


async def test_two_clicks_take_a_word_three_a_paragraph(app, message) -> None:
    async with app.run_test(size=(40, 24)) as pilot:
        app.view.show([message(TEXT)])
        await pilot.double_click(app.view, offset=(5, 0))
        assert app.screen.get_selected_text() == "paragraph"
        await pilot.triple_click(app.view, offset=(5, 1))
        assert app.screen.get_selected_text() == (
            "A paragraph that is long enough to be wrapped on a narrow screen, with **bold** words."
        )


async def test_the_label_of_code_is_no_text(app, message) -> None:
    async with app.run_test(size=(40, 24)) as pilot:
        app.view.show([message(CODE)])
        for click in (pilot.double_click, pilot.triple_click):
            await click(app.view, offset=(4, 0))
            assert not app.screen.get_selected_text()
