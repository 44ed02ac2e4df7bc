"""`tok chat`, and `tok` alone."""

from __future__ import annotations

from app.cli.options import ContinueLast, DraftModel, Model, PresetName, ThemeName


def chat(
    model: Model = None,
    preset: PresetName = None,
    continue_last: ContinueLast = False,
    theme: ThemeName = None,
    draft: DraftModel = None,
) -> int:
    """Open the chat (what `tok` does when it is given no command)."""
    from app.tui.options import ChatOptions
    from app.tui.run import run_chat

    return run_chat(ChatOptions(model=model, preset=preset, continue_last=continue_last, theme=theme, draft=draft))
