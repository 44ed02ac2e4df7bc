"""`tok explain`: how a model writes a reply, in general or with the figures of a new one."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.cli.common.options import AskOptions, DraftModel, Model, PresetName, Speculate, SystemPrompt
from app.cli.common.sampling import takes_sampling
from app.domain.errors import UsageError

_N_TOP = 10


@takes_sampling
def explain(  # noqa: PLR0913 -- one parameter an option
    context: typer.Context,
    *,
    prompt: Annotated[
        str | None,
        typer.Argument(metavar="PROMPT", help="Question to answer and explain. Without it, no model is loaded."),
    ] = None,
    model: Model = None,
    preset: PresetName = None,
    system: SystemPrompt = None,
    speculate: Speculate = None,
    draft: DraftModel = None,
    sampling: dict[str, Any],
) -> int:
    """Explain how a model writes a reply. With PROMPT, uses the figures of its answer."""
    if prompt is None:
        if sampling or any(option is not None for option in (model, preset, system, speculate, draft)):
            raise UsageError("these options need a PROMPT", hint="give a question for the model")
        from app.analysis.ending import ReplyContext
        from app.analysis.story import story
        from app.cli.ask.explain import print_story

        print_story(story(None, None, ReplyContext()))
        return 0
    options = AskOptions(
        prompt=prompt,
        model=model,
        preset=preset,
        system=system,
        sampling=sampling,
        logprobs=_N_TOP,
        speculate=speculate,
        draft=draft,
        save=False,
    )
    from app.cli.ask.explain import run_explain

    return run_explain(options, context.obj)
