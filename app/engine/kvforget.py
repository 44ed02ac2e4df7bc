"""Forgetting conversations: the files with their saved states go, whatever model made them.

A state names the conversation whose slot it was; what else begins with the same tokens is saved under its own name.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from app.engine.kvfile import conversation_of


def kv_folder(cache: Path) -> Path:
    """Where the states lie in the folder of caches."""
    return cache / "kv"


def remove_states(folder: Path, conversations: Collection[int]) -> int:
    """Deletes the states of conversations, half written ones too, and what no version of now can read; returns how
    many. What cannot be deleted is written to the log."""
    n_removed = 0
    for path in (*folder.glob("*.kv"), *folder.glob("*.tmp")):
        try:
            conversation = conversation_of(path)
            if conversation in conversations or (conversation is None and path.suffix == ".kv"):
                path.unlink(missing_ok=True)
                n_removed += 1
        except FileNotFoundError:
            continue  # another instance was quicker
        except OSError as error:
            with suppress(OSError):
                os.write(2, f"a saved state is not deleted: {error}\n".encode())
    return n_removed
