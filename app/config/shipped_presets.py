"""The presets that come with the app. Sampling values as llama.cpp names them; see `SamplingParams`."""

from __future__ import annotations

from app.domain.preset import Preset
from app.domain.sampling import SamplingParams

DEFAULT_PRESET = "balanced"

SHIPPED_PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            name=DEFAULT_PRESET,
            description="Everyday chat; steady enough for very small models",
            sampling=SamplingParams(temperature=0.8, min_p=0.1, repeat_penalty=1.1),
        ),
        Preset(
            name="plain",
            description="Temperature and top-p alone, as most hosted models are sampled",
            sampling=SamplingParams(
                temperature=0.8,
                top_k=0,
                top_p=0.95,
                min_p=0.0,
                samplers=("temperature", "top-p"),
            ),
        ),
        Preset(
            name="precise",
            description="Facts, summaries, extraction: few surprises",
            system="You are a careful assistant. Answer briefly and exactly, and say so when you do not know.",
            sampling=SamplingParams(temperature=0.2, top_k=20, top_p=0.9, min_p=0.1, repeat_penalty=1.05),
        ),
        Preset(
            name="creative",
            description="Stories, names, ideas: unlikely words get their chance",
            system="You are an imaginative writer. Prefer the fresh and concrete over the usual phrase.",
            sampling=SamplingParams(temperature=1.2, top_k=0, top_p=1.0, min_p=0.05, repeat_penalty=1.1),
        ),
        Preset(
            name="deterministic",
            description="Always the most likely token: the same prompt gives the same reply",
            sampling=SamplingParams(temperature=0.0, seed=0),
        ),
        Preset(
            name="coding",
            description="Programs and commands: exact, repeats allowed, code in fenced blocks",
            system="You are an experienced programmer. Answer with working code in fenced Markdown blocks "
            "and only as much prose as the code needs.",
            sampling=SamplingParams(temperature=0.3, top_p=0.9, min_p=0.05, repeat_penalty=1.0),
        ),
    )
}
