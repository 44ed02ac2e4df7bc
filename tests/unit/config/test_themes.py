from pathlib import Path

import pytest

from app.config.paths import themes_dir
from app.config.themes import (
    ANSI_COLORS,
    APP_VARIABLES,
    COLOR_KEYS,
    DEFAULT_DARK,
    DEFAULT_LIGHT,
    TERMINAL,
    ThemeSpec,
    load_theme,
    load_themes,
)

SHIPPED = load_themes(Path("/nowhere")).themes
TEXT = ("foreground", "primary", "secondary", "accent", "success", "warning", "error")
TEXT_VARIABLES = ("chat-user", "chat-assistant", "chat-note", "token-low", "token-mid", "token-high")


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_of_known_pairs() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_shipped_themes_are_whole() -> None:
    assert load_themes(Path("/nowhere")).problems == []
    assert set(SHIPPED) == {path.stem for path in themes_dir().glob("*.toml")}
    assert len(SHIPPED) >= 7
    assert sum(not theme.dark for theme in SHIPPED.values()) >= 2
    assert (SHIPPED[DEFAULT_DARK].dark, SHIPPED[DEFAULT_LIGHT].dark, SHIPPED[TERMINAL].ansi) == (True, False, True)
    for theme in SHIPPED.values():
        assert set(theme.colors) >= set(COLOR_KEYS) - {"boost"}
        assert set(theme.variables) >= set(APP_VARIABLES)


@pytest.mark.parametrize("name", sorted(set(SHIPPED) - {TERMINAL}))
def test_contrast(name: str) -> None:
    theme = SHIPPED[name]
    wanted = 7 if name == "contrast" else 4.5
    for ground in ("background", "surface", "panel"):
        behind = theme.colors[ground]
        texts = {key: theme.colors[key] for key in TEXT} | {key: theme.variables[key] for key in TEXT_VARIABLES}
        low = {key: contrast(colour, behind) for key, colour in texts.items() if contrast(colour, behind) < wanted}
        assert low == {}, ground
        for key in set(APP_VARIABLES) - set(TEXT_VARIABLES) - {"context-free"}:
            assert contrast(theme.variables[key], behind) >= 3, (ground, key)
    free, reply = theme.variables["context-free"], theme.variables["context-reply"]
    assert contrast(free, theme.colors["background"]) >= 1.3
    assert contrast(free, reply) >= 2


def test_the_terminal_theme_names_no_colour_of_its_own() -> None:
    theme = SHIPPED[TERMINAL]
    assert set(theme.colors.values()) <= set(ANSI_COLORS)
    assert all(value.startswith("ansi_") or value == "reverse" for value in theme.variables.values())


def test_a_user_theme_replaces_a_shipped_one(tmp_path: Path) -> None:
    tmp_path.joinpath("paper.toml").write_text(
        '[colors]\nprimary = "#f00"\n[variables]\nfooter-background = "#000 50%"\n'
    )
    tmp_path.joinpath("notes.txt").write_text("no theme")
    loaded = load_themes(tmp_path)
    assert loaded.problems == []
    assert set(loaded.themes) == set(SHIPPED)
    assert loaded.themes["paper"] == ThemeSpec(
        name="paper",
        dark=True,
        ansi=False,
        colors={"primary": "#f00"},
        variables={"footer-background": "#000 50%"},
        code_style="monokai",
        path=tmp_path / "paper.toml",
    )


@pytest.mark.parametrize(
    ("text", "line", "key", "suggestion"),
    [
        ("drak = true", 1, "drak", "dark"),
        ("dark = 1", 1, "dark", ""),
        ('name = "A B"', 1, "name", ""),
        ("code_style = []", 1, "code_style", ""),
        ('[colors]\nprimry = "#fff"', 2, "colors.primry", "primary"),
        ('[colors]\nprimary = "#ggg"', 2, "colors.primary", ""),
        ('[colors]\nprimary = "ansi_bleu"', 2, "colors.primary", "ansi_blue"),
        ('[colors]\nprimary = "#fff"\naccent = "red; } * { display: none"', 3, "colors.accent", ""),
        ('[colors]\nprimary = "#fff"\n[variables]\nchat-usr = "#fff"', 4, "variables.chat-usr", "chat-user"),
        ('[colors]\nprimary = "#fff"\n[variables]\nchat-user = 3', 4, "variables.chat-user", ""),
        ('[colors]\nprimary = "#fff"\n[variables]\nlink-style = "b;}"', 4, "variables.link-style", ""),
        ("colors = 3", 1, "colors", ""),
        ("[colors]", 1, "colors", ""),
        ("", 1, "colors", ""),
        ("[colors", 1, "", ""),
    ],
)
def test_mistakes(tmp_path: Path, text: str, line: int, key: str, suggestion: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    theme, problems = load_theme(path)
    assert (line, key, suggestion) in [(p.line, p.key, p.suggestion) for p in problems]
    assert theme is None or theme.colors["primary"] == "#fff"


def test_a_broken_file_leaves_the_others_alone(tmp_path: Path) -> None:
    tmp_path.joinpath("ember.toml").write_bytes(b"\xff\xfe")
    tmp_path.joinpath("folder.toml").mkdir()
    loaded = load_themes(tmp_path)
    assert loaded.themes == SHIPPED
    assert [p.file.name for p in loaded.problems] == ["ember.toml", "folder.toml"]
