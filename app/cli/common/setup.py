"""Looks up what the options name: settings, preset, model. A mistake in one of them ends the command early."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec import Struct

from app.cli.common import console
from app.cli.common.configuration import blocking_config_error, warn_of
from app.cli.common.options import AskOptions
from app.cli.common.overrides import with_overrides
from app.config.catalogue import load_catalogue
from app.config.presets import find_preset
from app.config.problems import render
from app.config.settings import Settings, TraceSettings, load_presets, load_settings
from app.domain.conversation import ChatSettings, Conversation, Message
from app.domain.errors import ConfigError, ModelError
from app.domain.sampling import Preset
from app.domain.text import one_line
from app.models.locate import LocatedModel, locate
from app.session.restore import restored


class Setup(Struct, frozen=True):
    """What one question is asked of, and how."""

    model: LocatedModel
    preset: Preset
    """With the options of the command line."""
    speculate: bool | None
    trace_top_k: int
    """Alternatives that are kept with each token of an answer that is kept."""
    traces: TraceSettings
    settings: ChatSettings
    """What the conversation is kept with: without the sampling options, which hold for one answer."""
    continues: int | None = None
    """The conversation that the question continues; None begins one."""


def look_up(options: AskOptions, conversation: Conversation | None = None, branch: Sequence[Message] = ()) -> Setup:
    """Returns the model and the preset in effect: the options', else those of the conversation that is taken up.

    Prints other mistakes, and what the conversation has to do without, on standard error. Raises ConfigError with
    every problem of the files where one is in the preset or the model, ModelError, or UsageError for a sampling option
    out of range.
    """
    loaded, catalogue = load_settings(), load_catalogue()
    settings, presets = loaded.settings, load_presets(loaded.settings)
    kept = _kept(options, conversation, branch, presets, settings)
    name = options.preset or (None if kept else settings.preset)
    preset = kept.preset if kept and name is None else presets.get(name or "")
    kept_model = "" if options.model or kept is None else kept.model
    wanted = options.model or (preset.model if preset else None) or settings.model
    problems = [*loaded.problems, *catalogue.problems]
    if broken := blocking_config_error(options, loaded, catalogue, name, kept_model or wanted):
        raise ConfigError(f"{broken}\n{render(problems)}", hint="`tok config edit` opens the configuration")
    warn_of(problems)
    preset = preset or find_preset(name or "", presets)

    def find(model: str | None) -> LocatedModel:
        return locate(model, catalogue, settings.models_dir, options.draft)

    model = _kept_model(kept_model, find, wanted) if kept_model else find(wanted)
    speculate = (settings.speculation == "ngram" or None) if options.speculate is None else options.speculate
    own = options.system if options.system is not None else kept.system if kept else None
    chosen = ChatSettings(model=kept_model or model.reference, preset=preset, system=own)
    if options.preset and options.system is None and own is not None:
        console.print_stderr("tok: the conversation keeps its own system prompt; use -s to replace it")
    preset = overridden(chosen.effective, options)
    if preset.sampling.exact and (options.speculate or options.draft):
        console.print_stderr("tok: no drafts: `exact` decodes one token per step")
    continues = conversation.id if conversation else None
    return Setup(model, preset, speculate, settings.trace_top_k, settings.trace, chosen, continues)


def _kept(
    options: AskOptions,
    conversation: Conversation | None,
    branch: Sequence[Message],
    presets: Mapping[str, Preset],
    settings: Settings,
) -> ChatSettings | None:
    if conversation is None:
        return None
    found = restored(conversation, branch, presets, presets[settings.preset])
    for notice in () if options.preset else found.notices:
        console.print_stderr(f"tok: {notice}")
    return found.settings


def _kept_model(kept: str, find: Callable[[str | None], LocatedModel], wanted: str | None) -> LocatedModel:
    """The model that a conversation kept, or the one that answers in its place, which is said."""
    try:
        return find(kept)
    except ModelError as error:
        model = find(wanted)
        console.print_error(
            f"the conversation's model is not available ({error}): {one_line(model.name)} is used instead", error.hint
        )
        return model


def overridden(preset: Preset, options: AskOptions) -> Preset:
    """Returns the preset with the command line's options in place of its own. Raises UsageError."""
    sampling = with_overrides(preset.sampling, options.sampling)
    system = preset.system if options.system is None else options.system or None
    return msgspec.structs.replace(preset, sampling=sampling, system=system)
