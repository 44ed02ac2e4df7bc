"""Looks up what the options name: settings, preset, model. A mistake in one of them ends the command early."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from app.cli import console
from app.cli.asking.mistakes import what_is_broken
from app.cli.asking.options import AskOptions
from app.cli.configuration import warn_of
from app.cli.overrides import with_overrides
from app.config.catalogue import load_catalogue
from app.config.presets import find_preset, load_presets
from app.config.problems import render
from app.config.settings import TraceSettings, load_settings
from app.domain.errors import ConfigError
from app.domain.preset import Preset
from app.models.locate import LocatedModel, locate


class Setup(Struct, frozen=True):
    """What one question is asked of, and how."""

    model: LocatedModel
    preset: Preset
    speculate: bool | None
    trace_top_k: int
    """Alternatives that are kept with each token of an answer that is kept."""
    traces: TraceSettings


def look_up(options: AskOptions) -> Setup:
    """Returns the model and the preset in effect.

    Mistakes elsewhere are told on standard error. Raises ConfigError with every problem of the files where one is in
    the preset or the model, ModelError, or UsageError for a sampling option out of range.
    """
    loaded, catalogue = load_settings(), load_catalogue()
    settings, presets = loaded.settings, load_presets(loaded.settings)
    name = options.preset or settings.preset
    wanted = options.model or (presets[name].model if name in presets else None) or settings.model
    problems = [*loaded.problems, *catalogue.problems]
    if broken := what_is_broken(options, loaded, catalogue, name, wanted):
        raise ConfigError(f"{broken}\n{render(problems)}", hint="`tok config edit` opens the configuration")
    warn_of(problems)
    preset = find_preset(name, presets)
    model = locate(wanted, catalogue, settings.models_dir, options.draft)
    speculate = (settings.speculation == "ngram" or None) if options.speculate is None else options.speculate
    preset = overridden(preset, options)
    if preset.sampling.exact and (options.speculate or options.draft):
        console.talk("tok: nothing is drafted: `exact` decodes in fixed steps, one token each")
    return Setup(model, preset, speculate, settings.trace_top_k, settings.trace)


def overridden(preset: Preset, options: AskOptions) -> Preset:
    """Returns the preset with the command line's options in place of its own. Raises UsageError."""
    sampling = with_overrides(preset.sampling, options.sampling)
    system = preset.system if options.system is None else options.system or None
    return msgspec.structs.replace(preset, sampling=sampling, system=system)
