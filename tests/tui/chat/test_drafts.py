"""Text that was not sent, kept by a running process for whoever comes after it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from app.tui.common.preferences import Drafts

_KILLED = """
import os, signal, sys
from pathlib import Path
from app.tui.common.preferences import Drafts
drafts = Drafts(Path(sys.argv[1]))
drafts.keep(sys.argv[2]) if sys.argv[2:] else drafts.take()
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_with(folder: Path, *text: str) -> None:
    """A process that keeps the text, or takes what others kept where there is none, and is killed."""
    done = subprocess.run([sys.executable, "-c", _KILLED, str(folder), *text], check=False)
    assert done.returncode == -9


def test_the_drafts_of_the_killed_are_taken_once_the_oldest_first(tmp_path: Path) -> None:
    killed_with(tmp_path / "drafts", "one\r\nand a half")
    killed_with(tmp_path / "drafts", "two ✓")
    taker = Drafts(tmp_path / "drafts")
    assert taker.take() == "one\r\nand a half\ntwo ✓"
    assert Drafts(tmp_path / "drafts").take() == ""


def test_a_running_processs_draft_is_left_to_it(tmp_path: Path) -> None:
    running, other = Drafts(tmp_path), Drafts(tmp_path)
    running.keep("mine")
    assert other.take() == ""
    running.keep("mine still", last=True)
    assert other.take() == "mine still"


def test_what_was_taken_and_not_yet_kept_again_outlives_the_taker(tmp_path: Path) -> None:
    killed_with(tmp_path, "precious")
    killed_with(tmp_path)
    assert Drafts(tmp_path).take() == "precious"


def test_only_the_user_can_read_it(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path / "drafts")
    drafts.keep("secret")
    assert (tmp_path / "drafts").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "drafts").iterdir()} == {0o600}


def test_an_end_with_nothing_unsent_leaves_no_file(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path)
    drafts.keep("sent by now")
    drafts.keep("", last=True)
    drafts.keep("a write that came late")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    drafts = Drafts(tmp_path / "file" / "drafts")
    drafts.keep("lost")
    drafts.keep("lost", last=True)
    assert drafts.take() == ""
