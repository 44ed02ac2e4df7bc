"""What an empty chat says of the model, in the words of `Welcome`."""

from __future__ import annotations

from app.client.engine import EngineState
from app.protocol.events import ModelReady
from app.tui.commands import COMMANDS
from app.tui.flow.lines import Situation, loading_word
from app.tui.keymap import Keymap
from app.tui.widgets.welcome import Welcome

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
