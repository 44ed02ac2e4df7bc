"""The help: every key, and where the files are that change things."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from app.config import paths
from app.domain.text import safe_text
from app.tui.commands import COMMANDS
from app.tui.keymap import Keymap, key_label
from app.tui.screens.safe import Dialog

EDITING: tuple[tuple[str, str], ...] = (
    ("Enter", "Send"),
    ("Ctrl+J", "New line (Shift+Enter in some terminals)"),
    ("Up / Down", "Earlier and later prompts"),
    ("Ctrl+A / Ctrl+E", "Beginning and end of the line"),
    ("Ctrl+W / Ctrl+U / Ctrl+K", "Delete a word, to the start, to the end"),
    ("Ctrl+Z / Ctrl+Y", "Undo and redo"),
    ("Tab", "Go to the conversation and back"),
)
MOUSE: tuple[tuple[str, str], ...] = (
    ("Drag", "Select; Ctrl+C copies"),
    ("Wheel", "Scroll; at the end it follows new text again"),
)


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
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


class Help(Dialog[None]):
    """Shows the keys in force, the user's changes included."""

    def __init__(self, keymap: Keymap, files: Sequence[tuple[str, str]]) -> None:
        """`files`: pairs of what a file is for and its path."""
        super().__init__()
        self._keymap = keymap
        self._files = files

    def compose(self) -> ComposeResult:
        """Lays the dialog out."""
        with Vertical(classes="dialog dialog-tall"):
            yield Static("Help", classes="dialog-title", markup=False)
            with VerticalScroll(classes="dialog-scroll"):
                yield Static(self._text(), markup=False)
            yield Static("Esc close   ↑ ↓ scroll", classes="dialog-hints", markup=False)

    def on_mount(self) -> None:
        """Lets the arrows scroll at once."""
        self.query_one(VerticalScroll).focus()

    def _text(self) -> Content:
        commands = [
            (" / ".join(key_label(key) for key in self._keymap.keys[command.id]) or "—", command.title, command.id)
            for command in COMMANDS
        ]
        parts: list[Content | str | tuple[str, str]] = []
        others = (("Writing", EDITING), ("Mouse", MOUSE), ("Files", self._files))
        sections = [("Commands", commands), *((title, [(*pair, "") for pair in rows]) for title, rows in others)]
        for title, rows in sections:
            n_keys, n_words = (2 + max(len(row[column]) for row in rows) for column in (0, 1))
            parts.append((f"{title}\n", "bold $primary"))
            for left, right, name in rows:
                words = f"{right:<{n_words}}" if name else right
                parts += [(f"  {left:<{n_keys}}", "$accent"), words, (f"{name}\n", "$foreground-muted")]
            parts.append("\n")
        parts.append(("[keys] in config.toml gives a command another key, by its grey name.", "$foreground-muted"))
        return Content.assemble(*parts)
