"""The manual is right where a test can know it: links, commands, options, keys, settings, exit codes."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

import pytest

from app.cli.common.exit_codes import ExitCode
from app.cli.tree import command_line
from app.config.presets import SHIPPED_PRESETS
from app.config.settings import Settings, TraceSettings
from app.manual import TOPICS, find, read_topic
from app.tui.common.commands import COMMANDS
from app.tui.common.keymap import key_label
from tests.manual.make import FOLDER, SECTIONS, TOPIC_OF, command_names, filled

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TEXTS = {"README": README} | {name: read_topic(name) for name in TOPICS}
CODE = re.compile(r"`([^`\n]+)`")
COMMAND = re.compile(r"(?:^ +(?:\$ )?|`|\| )tok((?: [a-z]+)*)((?: [^\n`]*)?)", re.MULTILINE)


def test_every_file_is_a_topic() -> None:
    assert sorted(TOPICS) == sorted(file.stem for file in FOLDER.glob("*.md"))


@pytest.mark.parametrize("name", SECTIONS)
def test_what_follows_from_declarations_is_up_to_date(name: str) -> None:
    """`python -m tests.manual.make` writes it."""
    text = (FOLDER / f"{TOPIC_OF[name]}.md").read_text(encoding="utf-8")
    assert f"<!-- {name}:" in text
    assert filled(name, text) == text


@pytest.mark.parametrize("topic", TOPICS)
def test_links_between_topics_lead_somewhere(topic: str) -> None:
    targets = re.findall(r"\]\(([^)]+)\)", TEXTS[topic])
    assert [target for target in targets if not (FOLDER / target).exists()] == []


@pytest.mark.parametrize("topic", TEXTS)
def test_every_command_and_option_exists(topic: str) -> None:
    names = {" ".join(words) for words in command_names()}
    groups = {name.split()[0] for name in names if " " in name}
    root = {option for parameter in command_line().params for option in parameter.opts}
    for words, rest in COMMAND.findall(TEXTS[topic]):
        called = words.split()
        while called and " ".join(called) not in names:
            called.pop()
        assert called or not words.strip(), f"tok{words}"
        command, options = command_line(), set(root)
        for word in called:
            command = command.commands[word]
            options |= {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
            if word in groups and " ".join(called) == word:
                options |= set(
                    chain.from_iterable(each.opts for sub in command.commands.values() for each in sub.params)
                )
        rest = rest.split("|")[0].split("#")[0]
        used = re.findall(r"(?<= )(--[a-z][a-z-]*|-[a-z])(?=[ =\]`]|$)", f"{words}{rest}")
        assert [option for option in used if option not in options | {"--help", "-h"}] == [], f"tok{words}{rest}"


def test_every_option_that_is_named_alone_exists() -> None:
    known = set()
    for words in command_names():
        command = command_line()
        for word in words:
            command = command.commands[word]
        known |= {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
    known |= {option for each in command_line().params for option in each.opts} | {"--help"}
    known |= {"--reinstall-package", "--shape", "--quant", "--install-completion"}  # uv's, a script's, typer's
    named = {
        option
        for text in TEXTS.values()
        for code in CODE.findall(text)
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", code)
    }
    assert len(named) > 20
    assert named - known == set()


@pytest.mark.parametrize("topic", [topic for topic in TEXTS if topic != "cli"])
def test_every_key_of_a_command_exists(topic: str) -> None:
    typing = ["A", "E", "K", "U", "W", "Z", "Y", "J"]
    known = {key_label(key) for command in COMMANDS for key in command.keys.split(",") if key}
    known |= {f"Ctrl+{letter}" for letter in typing} | {"Shift+Enter", "Alt+Enter", "Ctrl+D", "Ctrl+X"}
    named = set(re.findall(r"\b(?:(?:Ctrl|Alt|Shift)\+[A-Z][a-z]*|F\d{1,2})\b", TEXTS[topic]))
    assert named - known == set()


def test_every_command_of_the_chat_is_listed() -> None:
    for command in COMMANDS:
        assert f"`{command.id}`" in TEXTS["keys"]


@pytest.mark.parametrize("name", [*Settings.__struct_fields__, *TraceSettings.__struct_fields__])
def test_every_setting_is_explained(name: str) -> None:
    assert re.search(rf"\b{name}\b", TEXTS["configuration"])


@pytest.mark.parametrize("name", [*SHIPPED_PRESETS, *(file.stem for file in (ROOT / "themes").glob("*.toml"))])
def test_every_preset_and_theme_is_named(name: str) -> None:
    assert f"`{name}`" in TEXTS["configuration"]


@pytest.mark.parametrize("code", ExitCode)
def test_every_exit_code_is_explained(code: ExitCode) -> None:
    assert f"| {code.value} |" in TEXTS["troubleshooting"]


def test_every_file_that_the_architecture_names_exists() -> None:
    files = re.findall(r"`((?:engine|client|session|tui)/[\w/]+\.py)`", TEXTS["architecture"])
    assert len(files) == 8
    assert [file for file in files if not (ROOT / "app" / file).exists()] == []


def test_every_floor_and_room_is_in_the_architecture() -> None:
    floors = [row for row in TEXTS["architecture"].splitlines() if row.startswith("| `app/")]
    named = set(re.findall(r"[\w/]+", " ".join(re.findall(r"`([^`]*)`", " ".join(floors)))))
    folders = [file.parent.relative_to(ROOT) for file in (ROOT / "app").rglob("__init__.py")]
    wanted = {path.as_posix() if len(path.parts) == 2 else path.name for path in folders if len(path.parts) > 1}
    assert wanted - named == set()


def test_words_are_found_in_any_case() -> None:
    assert ("troubleshooting", "## Exit codes") in find("EXIT codes")
    assert find("") == find("no such words anywhere") == []


def test_a_topic_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError):
        read_topic("../config")
