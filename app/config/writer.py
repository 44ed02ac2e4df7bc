"""Writes one setting into `config.toml`, and leaves everything else in it as the person wrote it, comments included."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError

from app.config.paths import config_file, ensure_dir
from app.config.starter_config import default_config_text
from app.domain.errors import ConfigError
from app.domain.files import read_regular


def write_setting(key: str, value: str, path: Path | None = None) -> Path:
    """Sets a top-level key of `config.toml`, or of the file at `path`, and returns that path.

    A missing file is made, with every setting explained. Raises ConfigError where it cannot be read, parsed or written;
    then it stays as it was.
    """
    path = path or config_file()
    try:
        target = path.resolve()
        text = read_regular(target).decode() if path.exists() else default_config_text()
        document = tomlkit.parse(text)
        document[key] = value
        ensure_dir(target.parent)
        _replace(target, tomlkit.dumps(document))
    except (OSError, ValueError, TOMLKitError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        message = f"{path}: `{key}` cannot be written: {reason}"
        raise ConfigError(message, "`tok config edit` opens the file.") from error
    return path


def _replace(target: Path, text: str) -> None:
    """Replaces a file as a whole; its mode stays."""
    fd, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    part = Path(name)
    try:
        with open(fd, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
