"""The README is a front door: short, with links that lead somewhere and the commands that `.ci/run` uses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 120


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)]+)\)", README))
def test_a_link_leads_somewhere(target: str) -> None:
    assert (ROOT / target).exists()


def test_continuous_integration_runs_its_test_command() -> None:
    assert "\n    uv run pytest\n" in README
    assert '"${uv[@]}" run pytest' in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
