"""What an empty chat shows: the state of the model, what to do when there is none, and a few keys."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widgets import Static

from app.client.engine import EngineState
from app.domain.text import one_line, safe_text
from app.protocol.events import ModelReady
from app.tui.chat.status import Situation, loading_word
from app.tui.common.commands import COMMANDS
from app.tui.common.keymap import Keymap

_BAR_WIDTH = 32


class Welcome(Static):
    """A centred text; replaced by the transcript with the first message."""

    DEFAULT_CSS = """
    Welcome { width: 1fr; height: 1fr; content-align: center middle; text-align: center; padding: 0 2; }
    """

    def __init__(self, keys: Sequence[tuple[str, str]], *, id: str | None = None) -> None:
        """`keys`: pairs of a key and what it does."""
        super().__init__(id=id, markup=False)
        self._keys = keys

    def show_loading(self, title: str, fraction: float, doing: str) -> None:
        """Shows a model on its way in."""
        done = round(_BAR_WIDTH * min(1.0, max(0.0, fraction)))
        bar = [("━" * done, "$primary"), ("━" * (_BAR_WIDTH - done), "$foreground 20%")]
        percent = (f" {fraction:4.0%}", "$foreground-muted")
        self._show([(f"{doing} {one_line(title, 60)}\n", "$foreground-muted"), *bar, percent])

    def show_ready(self, title: str, lines: Sequence[str]) -> None:
        """Shows the model that answers, and facts about it."""
        facts = [(f"\n{one_line(line, 100)}", "$foreground-muted") for line in lines]
        self._show([(one_line(title, 60), "bold $primary"), *facts])

    def show_error(self, reason: str, hint: str) -> None:
        """Shows why no model is loaded and what to do."""
        parts = [("no model\n", "bold $error"), (safe_text(reason), "$foreground")]
        if hint:
            parts.append((f"\n\n{safe_text(hint)}", "$foreground-muted"))
        self._show(parts)

    def show_starting(self) -> None:
        """Shows that the engine is being started."""
        self._show([("starting the engine", "$foreground-muted")])

    def _show(self, state: Sequence[tuple[str, str]]) -> None:
        width = max((len(key) for key, _ in self._keys), default=0)
        longest = max((len(what) for _, what in self._keys), default=0)
        rows: list[tuple[str, str]] = []
        for key, what in self._keys:
            rows.append((f"\n{key:>{width}}  ", "$accent"))
            rows.append((what.ljust(longest), "$foreground-muted"))
        title = [("t o k s c o p e\n", "bold"), ("one token at a time\n\n", "$foreground-muted")]
        self.update(Content.assemble(*title, *state, "\n", *rows))


_KEYS = ("stop", "history", "model", "palette", "help", "quit")


def show_state(welcome: Welcome, now: Situation) -> None:
    """Shows how far the model is, what it is, or what to do when there is none."""
    if now.load.fraction is not None:
        welcome.show_loading(now.load.title, now.load.fraction, loading_word(now.load.fraction))
    elif now.load.error:
        welcome.show_error(now.load.error, now.load.hint)
    elif now.model is not None:
        welcome.show_ready(now.load.title or now.model.title, [facts(now.model)])
    elif now.engine is EngineState.LOST:
        welcome.show_error("The engine was lost.", "The next message starts it again.")
    else:
        welcome.show_starting()


def facts(model: ModelReady) -> str:
    """Returns size, context window and what computes it on one line."""
    size = f"{model.n_params / 1e9:.1f} B" if model.n_params >= 1e9 else f"{model.n_params / 1e6:.0f} M"
    where = f"CPU, {model.n_threads} threads" if model.on_cpu else " + ".join(p.device for p in model.placement)
    return f"{size} parameters · context {model.n_ctx} · {where}"


def welcome_keys(keymap: Keymap) -> list[tuple[str, str]]:
    """Returns the keys that a new user needs first, each with its hint; those without a key are left out."""
    hints = {command.id: command.hint for command in COMMANDS}
    return [("Enter", "send"), *((keymap.label(name), hints[name]) for name in _KEYS if keymap.label(name))]
