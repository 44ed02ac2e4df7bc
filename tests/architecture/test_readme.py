"""The README tells the truth where a test can know it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.cli.common.exit_codes import ExitCode
from app.config.presets import SHIPPED_PRESETS
from app.config.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)]+)\)", README))
def test_a_link_leads_somewhere(target: str) -> None:
    assert (ROOT / target).exists()


@pytest.mark.parametrize("code", ExitCode)
def test_an_exit_code_is_documented(code: ExitCode) -> None:
    assert f"| {code.value} |" in README


@pytest.mark.parametrize("name", [*SHIPPED_PRESETS, *(file.stem for file in (ROOT / "themes").glob("*.toml"))])
def test_a_preset_or_theme_is_named(name: str) -> None:
    assert f"`{name}`" in README


@pytest.mark.parametrize("name", Settings.__struct_fields__)
def test_a_setting_is_documented(name: str) -> None:
    """A key by its name, a table as in `[name]` or `[name.NAME]`."""
    assert re.search(rf"^\| `({name}|\[{name}(\.NAME)?\])` \|", README, re.MULTILINE)


def test_the_keys_are_those_of_the_chat() -> None:
    from app.tui.common.commands import COMMANDS

    spelt = {"escape": "Esc", "pageup": "PageUp", "pagedown": "PageDown"}
    for command in COMMANDS:
        for key in filter(None, command.keys.split(",")):
            name = spelt.get(key) or "+".join(part.capitalize() for part in key.split("+"))
            assert re.search(rf"^\|[^|]*{re.escape(name)}\b[^|]*\|", README, re.MULTILINE), f"{command.id}: {name}"
