"""Pictures from real runs. The terminal is settled here, before Textual is imported and reads it."""

import os

os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
os.environ.pop("NO_COLOR", None)
