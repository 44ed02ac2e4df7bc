"""What is left of an unexpected exception: a file with where it happened, and a few words on the terminal.

Neither holds local variables: they are prompts and replies.
"""

from __future__ import annotations

import platform
import sys
import time
import traceback
from importlib.metadata import version

from rich.text import Text

from app.config.paths import cache_dir, ensure_dir
from app.domain.files import replace_private
from app.domain.text import one_line


def write_report() -> Text:
    """Writes the exception being handled to a file (0600) and returns what to print."""
    error = sys.exc_info()[1]
    kind = type(error).__name__ if error is not None else "unknown error"
    versions = f"tokscope {version('tokscope')}, textual {version('textual')}, Python {platform.python_version()}"
    lines = [
        f"{versions}, {sys.platform}",
        "",
        *traceback.format_list(traceback.extract_tb(error.__traceback__ if error is not None else None)),
        f"{kind}: {one_line(str(error), 300)}",
        "",
    ]
    name = time.strftime("crash-%Y%m%d-%H%M%S.txt")
    try:
        path = ensure_dir(cache_dir()) / name
        replace_private(path, "\n".join(lines).encode(errors="backslashreplace"))
        where = f"The report is in {path}"
    except OSError as failure:
        where = f"No report could be written: {failure.strerror}"
    return Text(f"tokscope crashed ({kind}).\n{where}")
