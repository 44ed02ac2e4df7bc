"""The help: every key and file, how a reply is made, and what each view is for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from app.analysis.story import STEPS, TRICKS, Chapter
from app.config import paths
from app.domain.text import safe_text
from app.tui.common.keymap import Keymap, key_label
from app.tui.common.safe import Dialog
from app.tui.common.views import VIEWS
from app.tui.widgets.bar import Bar, Segment

EDITING: tuple[tuple[str, str], ...] = (
    ("Enter", "Send; the border counts its tokens"),
    ("Ctrl+J", "New line (also Shift+Enter, Alt+Enter)"),
    ("Up / Down", "Earlier and later prompts"),
    ("Ctrl+A / Ctrl+E", "Beginning and end of the line"),
    ("Alt+Left / Alt+Right", "A word back or forward in the text"),
    ("Ctrl+W / Ctrl+U / Ctrl+K", "Delete a word, to the start, to the end"),
    ("Ctrl+Z / Ctrl+Y", "Undo and redo"),
    ("Tab", "Go to the conversation and back"),
)
MOUSE: tuple[tuple[str, str], ...] = (
    ("Drag", "Select; Ctrl+C copies"),
    ("Wheel", "Scroll; at the end it follows new text again"),
    ("Click", "On a reply: inspect the token there; on ◆ the first"),
    ("Double click", "Select a word; a third click, the paragraph"),
)
INSPECTOR: tuple[tuple[str, str, str], ...] = (
    ("← → ↑ ↓ / Home / End", "Token, line, first and last", ""),
    ("Tab / 1 2 3", "Token, Sampler, Prompt", ""),
    ("Enter", "Choose an alternative; again forks there", "rewrite"),
    ("f", "Fork with text of your own", "rewrite"),
    ("t / d", "Tint; rejected drafts", ""),
    ("n / /", "Next surprise; find text", ""),
    ("w", "What if the sampler had other settings", ""),
    ("r", "Record the sampler's stages", "record_stages"),
    ("< >", "Reply before and after", ""),
)
"""Keys, words, and the command that must be on offer; empty for none."""
PAGES: dict[str, str] = {"keys": "Keys", "how": "How it works", "views": "What you see"}
"""The pages in order, name to title."""

Story = tuple[Sequence[Chapter], Sequence[Chapter]]
_Parts = list[Content | str | tuple[str, str]]


def user_files() -> list[tuple[str, str]]:
    """Returns what may be edited or looked at: pairs of a name and a path."""
    files = (
        ("Settings", paths.config_file()),
        ("Models", paths.user_models_file()),
        ("Themes", paths.user_themes_dir()),
        ("Conversations", paths.database_file()),
        ("Engine log", paths.engine_log_file()),
    )
    return [(name, safe_text(_short(path))) for name, path in files]


def _short(path: Path) -> str:
    try:
        home = Path.home()
    except RuntimeError:  # nobody knows where it is
        return str(path)
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


class _Pages(VerticalScroll):
    """Scrolls at once, and not after the next refresh, so that keys that arrive together all count."""

    def action_scroll_down(self) -> None:
        """Goes a line down."""
        self._go(1)

    def action_scroll_up(self) -> None:
        """Goes a line up."""
        self._go(-1)

    def action_page_down(self) -> None:
        """Goes a page down."""
        self._go(self.scrollable_content_region.height)

    def action_page_up(self) -> None:
        """Goes a page up."""
        self._go(-self.scrollable_content_region.height)

    def _go(self, n_rows: int) -> None:
        self.scroll_to(y=self.scroll_target_y + n_rows, animate=False, immediate=True)


class Help(Dialog[None]):
    """Shows the keys in force, the user's changes included; arrows go to its other pages."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,tab", "turn(1)", show=False, priority=True),
        Binding("left,shift+tab", "turn(-1)", show=False, priority=True),
        Binding("enter,slash", "app.manual", show=False, priority=True),
    ]

    CSS = """
    Help #help-pages { margin-bottom: 1; padding: 0; }
    Help.-low #help-pages, Help.-flat #help-pages { margin-bottom: 0; }
    """

    def __init__(
        self,
        keymap: Keymap,
        files: Sequence[tuple[str, str]],
        story: Story,
        page: str = "keys",
        about: str = "",
    ) -> None:
        """Takes its content.

        Args:
            keymap: the keys in force.
            files: pairs of what a file is for and its path.
            story: how the reply on the screen was made.
            page: the one to begin with.
            about: the command of the view that is explained first.
        """
        super().__init__()
        self._keymap = keymap
        self._files = files
        self._story = story
        self._page = page
        self._about = about

    def compose(self) -> ComposeResult:
        """Lays the dialog out."""
        with Vertical(classes="dialog dialog-tall"):
            yield Bar(id="help-pages", separator="   ")
            with _Pages(classes="dialog-scroll"):
                yield Static(id="help-text", markup=False)
            yield Static("← → page   ↑ ↓ scroll   Enter manual   Esc close", classes="dialog-hints", markup=False)

    def on_mount(self) -> None:
        """Lets the arrows scroll at once."""
        self.query_one(_Pages).focus()
        self.action_page(self._page)

    def action_turn(self, n: int) -> None:
        """Goes `n` pages on."""
        names = list(PAGES)
        self.action_page(names[(names.index(self._page) + n) % len(names)])

    def action_page(self, name: str) -> None:
        """Shows a page from its beginning."""
        self._page = name
        tabs = [
            Segment(f"▸{title}" if page == name else title, "bold $primary" if page == name else "", _turn(page))
            for page, title in PAGES.items()
        ]
        self.query_one(Bar).show(tabs)
        text = {"keys": self._keys, "how": self._how, "views": self._views}[name]
        self.query_one("#help-text", Static).update(text())
        self.query_one(_Pages).scroll_home(animate=False)

    def _keys(self) -> Content:
        commands = [
            (" / ".join(key_label(key) for key in self._keymap.keys[command.id]) or "—", command.title, command.id)
            for command in self._keymap.commands
        ]
        parts: _Parts = []
        offers = self._keymap.offers
        inspector = [(keys, words) for keys, words, needed in INSPECTOR if not needed or offers(needed)]
        writing = [("Writing", EDITING)] if offers("clear") else []
        others = (*writing, ("Inspector", inspector), ("Mouse", MOUSE), ("Files", self._files))
        sections = [("Commands", commands), *((title, [(*pair, "") for pair in rows]) for title, rows in others)]
        for title, rows in sections:
            n_keys, n_words = (2 + max(len(row[column]) for row in rows) for column in (0, 1))
            parts.append((f"{title}\n", "bold $primary"))
            for left, right, name in rows:
                words = f"{right:<{n_words}}" if name else right
                parts += [(f"  {left:<{n_keys}}", "$accent"), words, (f"{name}\n", "$foreground-muted")]
            parts.append("\n")
        parts.append(("[keys] in config.toml gives a command another key by its grey id.", "$foreground-muted"))
        return Content.assemble(*parts)

    def _how(self) -> Content:
        parts: _Parts = []
        for heading, chapters in zip((STEPS, TRICKS), self._story, strict=True):
            parts.append((f"{heading}\n", "bold $primary"))
            for chapter in chapters:
                parts += [(f"{chapter.title}. ", "bold"), f"{chapter.text}\n"]
            parts.append("\n")
        return Content.assemble(*parts)

    def _views(self) -> Content:
        parts: _Parts = []
        offered = [view for view in VIEWS if self._keymap.offers(view.command)]
        for view in sorted(offered, key=lambda view: view.command != self._about):
            way = "watch" if view.command.startswith("watch") else "palette"
            key = self._keymap.label(view.command) or self._keymap.label(way)
            parts += [(view.title, "bold $primary"), (f"  {key}\n", "$accent"), f"{view.text}\n\n"]
        return Content.assemble(*parts)


def _turn(page: str) -> str:
    return f"screen.page('{page}')"
