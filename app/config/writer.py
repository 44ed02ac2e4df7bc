"""Writes `config.toml`: a commented starter file, or one setting without touching the rest."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill

import tomlkit
from tomlkit.exceptions import TOMLKitError

from app.config.paths import config_file, ensure_dir
from app.domain.errors import ConfigError
from app.domain.files import read_regular, replace_private
from app.domain.parameters import PARAMETERS

_TEXT = """\
# tokscope's settings. Every line is commented out and shows the default; `tok config check` reports mistakes.

#model = "smollm2"       # a name that `tok models` lists, or the path of a GGUF file
#preset = "balanced"     # a name that `tok presets` lists
#theme = "auto"          # auto, graphite, ember, abyss, paper, meadow, contrast, terminal, or a theme of your own
#models_dir = "~/models" # a folder of GGUF files, to name without path and extension
#trace_top_k = 40        # alternatives stored with each token
#show_panels = true      # speed, prefill, decode, context and next token beside the chat
#fps = 30                # maximum screen updates per second while a reply streams; by default the app chooses
#speculation = "off"     # "ngram" drafts tokens by lookup in the text so far, when that pays

# A trace is stored with each reply, for the inspector and for forks; the oldest traces are deleted first.
#[trace]
#keep = true
#max_mib = 256
#stages = false          # also the sampler's stages and draws; costs time per token

# Keys by command; F1 in the chat lists the commands.
#[keys]
#stop = "escape"

# A preset of your own. It starts from `based_on`, or else from the shipped preset of the same name.
OTHER_KEYS
# json_schema (JSON text), regex, grammar (GBNF text) and lark exclude each other.
#[presets.haiku]
#based_on = "creative"
#description = "Seventeen syllables"
#system = "Answer with a haiku."
#model = "smollm2"
#temperature = 1.0
#top_p = 0.95
#min_p = 0.05
#repeat_penalty = 1.1
#seed = 42
#max_tokens = 64
#context = "stop"         # when the window is full: stop, drop-oldest-turns, or shift (also forget while replying)
#stop = ["\\n\\n"]
#samplers = ["penalties", "top-k", "min-p", "temperature"] # order of the stages; a stage left out does not run
#thinking = { temperature = 1.2, top_p = 1.0 }             # values inside a thinking block (<think>…</think>)
#lora = { pirate = 0.8 }                                   # scales of the model's adapters; the others are off
#logit_bias = { rain = 2.0, "#11" = -5.0 }                 # by text, by a control token's name, or by #ID
"""


def default_config_text() -> str:
    """Returns the text of a new `config.toml`, which changes no setting."""
    others = [name for name in PARAMETERS if f"#{name} = " not in _TEXT]
    listed = fill(f"Other keys: {', '.join(others)}.", 120, initial_indent="# ", subsequent_indent="# ")
    return _TEXT.replace("OTHER_KEYS", listed)


def write_setting(key: str, value: str, path: Path | None = None) -> Path:
    """Sets a top-level key of `config.toml`, or of the file at `path`, and returns that path.

    Creates a missing file with every setting explained. Raises ConfigError if the file cannot be read, parsed or
    written; it is then unchanged.
    """
    path = path or config_file()
    try:
        target = path.resolve()
        text = read_regular(target).decode() if path.exists() else default_config_text()
        document = tomlkit.parse(text)
        document[key] = value
        ensure_dir(target.parent)
        replace_private(target, tomlkit.dumps(document).encode())
    except (OSError, ValueError, TOMLKitError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        message = f"{path}: `{key}` cannot be written: {reason}"
        raise ConfigError(message, "`tok config edit` opens the file.") from error
    return path
