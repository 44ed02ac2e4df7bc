"""Paths, settings, presets, the model catalogue and themes: TOML in, values and located problems out."""
