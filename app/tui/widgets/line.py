"""Lines of text in named roles, and the marks they are made of.

Imports `rich` where it measures: the commands come from the panels, and `tok config check` reads them without a screen.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.text import safe_text

Span = tuple[str, str]
"""Text and its role."""
Line = tuple[Span, ...]
"""Spans from left to right; narrower than the widget or cut by it."""

Forms = tuple[tuple[Line, ...], ...]
"""A panel in every form it can take, the fullest first."""

BLANK: Line = ()
_EIGHTHS = " ▏▎▍▌▋▊▉"
_LEVELS = "▁▂▃▄▅▆▇█"
_VISIBLE = str.maketrans({" ": "␣", "\n": "↵", "\t": "⇥"})
_DIGITS = {
    "0": ("┏━┓", "┃ ┃", "┗━┛"),
    "1": ("╺┓ ", " ┃ ", "╺┻╸"),
    "2": ("╺━┓", "┏━┛", "┗━╸"),
    "3": ("╺━┓", " ━┫", "╺━┛"),
    "4": ("╻ ╻", "┗━┫", "  ╹"),
    "5": ("┏━╸", "┗━┓", "╺━┛"),
    "6": ("┏━╸", "┣━┓", "┗━┛"),
    "7": ("╺━┓", "  ┃", "  ╹"),
    "8": ("┏━┓", "┣━┫", "┗━┛"),
    "9": ("┏━┓", "┗━┫", "╺━┛"),
    ".": (" ", " ", "▪"),
    "–": ("   ", "╺━╸", "   "),
}


def width_of(line: Line) -> int:
    """Returns the cells that a line takes."""
    from rich.cells import cell_len

    return sum(cell_len(text) for text, _ in line)


def first_row(cursor: int, n_rows: int, n_shown: int) -> int:
    """Returns the first of `n_rows` rows that is shown where `n_shown` have room: the cursor stays near the middle."""
    return max(0, min(cursor - n_shown // 2, n_rows - n_shown))


def spread(left: Line, right: Line, width: int) -> Line:
    """Returns one line with `right` flush right; `right` is left out where both do not fit."""
    gap = width - width_of(left) - width_of(right)
    return (*left, (" " * gap, "text"), *right) if gap > 0 else left


def visible(text: str, n_cells: int) -> str:
    """Returns a token's text safe, with its spaces and line ends visible, in exactly `n_cells` cells."""
    from rich.cells import cell_len, set_cell_size

    shown = safe_text(text).translate(_VISIBLE)
    if cell_len(shown) > n_cells:
        return set_cell_size(shown, n_cells - 1) + "…"
    return set_cell_size(shown, n_cells)


def bar(fraction: float, n_cells: int) -> str:
    """Returns a bar of at most `n_cells`, an eighth of a cell exact; something above 0 is never nothing."""
    n_eighths = round(min(1.0, max(0.0, fraction)) * n_cells * 8)
    if fraction > 0:
        n_eighths = max(1, n_eighths)
    full, rest = divmod(n_eighths, 8)
    return "█" * full + (_EIGHTHS[rest] if rest else "")


def gauge(fraction: float, n_cells: int) -> Line:
    """Returns a bar with its track."""
    filled = bar(fraction, n_cells)
    return (filled, "bar"), ("░" * (n_cells - len(filled)), "dim")


def spark(values: Sequence[float], n_cells: int) -> str:
    """Returns the last `n_cells` values as columns, the height proportional to the value: 0 is the foot."""
    recent = values[-n_cells:]
    top = max(recent, default=0.0)
    return "".join(_LEVELS[min(7, int(value / top * 7 + 0.5))] for value in recent) if top > 0 else ""


def levels(fractions: Sequence[float], n_cells: int) -> str:
    """Returns the last `n_cells` of fractions as columns: 0 is the foot, 1 the full height."""
    return "".join(_LEVELS[min(7, max(0, int(value * 7 + 0.5)))] for value in list(fractions)[-n_cells:])


def big(number: str) -> tuple[str, str, str]:
    """Returns three lines that draw a number of digits, a point or a dash."""
    glyphs = [_DIGITS[char] for char in number]
    return "".join(g[0] for g in glyphs), "".join(g[1] for g in glyphs), "".join(g[2] for g in glyphs)


def share(counts: Sequence[int], n_cells: int) -> list[int]:
    """Divides `n_cells` in proportion to `counts`, at least one to each that is not 0 (largest remainder)."""
    total = sum(counts)
    if total <= 0:
        return [0] * len(counts)
    cells = [max(1, count * n_cells // total) if count else 0 for count in counts]
    while sum(cells) < n_cells:
        cells[max(range(len(counts)), key=lambda i: counts[i] * n_cells / total - cells[i])] += 1
    while sum(cells) > n_cells:
        cells[cells.index(max(cells))] -= 1
    return cells


def wrap(text: str, width: int, n_lines: int) -> list[str]:
    """Returns `text` broken at spaces into at most `n_lines` of `width` cells; the last is cut with an ellipsis."""
    from rich.cells import cell_len, set_cell_size

    lines: list[str] = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}".strip()
        if not lines[-1] or cell_len(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(word)
    if len(lines) > n_lines:
        lines = [*lines[: n_lines - 1], " ".join(lines[n_lines - 1 :])]
    return [line if cell_len(line) <= width else set_cell_size(line, width - 1) + "…" for line in lines]


def p_role(p: float) -> str:
    """Returns the role of a probability."""
    return "high" if p >= 0.5 else "mid" if p >= 0.1 else "low"
