"""Makes Textual bindings from the keymap, apart from it so that `tok config check` needs no Textual."""

from __future__ import annotations

from textual.binding import Binding, BindingsMap

from app.tui.common.keymap import Keymap


def bindings_for(namespace: str, keymap: Keymap) -> BindingsMap:
    """Returns the bindings of the commands whose action belongs to `namespace`: `app` or `screen`.

    They have priority: a command's key is a command wherever the focus is, the user's choice included.
    """
    return BindingsMap(
        Binding(",".join(keymap.keys[command.id]), command.action, command.title, show=False, priority=True)
        for command in keymap.commands
        if command.action.startswith(f"{namespace}.") and keymap.keys[command.id]
    )
