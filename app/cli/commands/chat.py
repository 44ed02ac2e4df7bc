"""`tok chat`, and `tok` alone."""

from __future__ import annotations

from app.cli.common.options import ContinueLast, DraftModel, Model, PresetName, SystemPrompt, ThemeName


def chat(
    model: Model = None,
    preset: PresetName = None,
    system: SystemPrompt = None,
    continue_last: ContinueLast = False,
    theme: ThemeName = None,
    draft: DraftModel = None,
) -> int:
    """Open the chat. `tok` without a command does the same."""
    from app.tui.common.options import ChatOptions
    from app.tui.run import run_chat

    options = ChatOptions(
        model=model, preset=preset, system=system, continue_last=continue_last, theme=theme, draft=draft
    )
    return run_chat(options)
