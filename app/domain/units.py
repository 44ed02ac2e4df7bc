"""How figures are written: a few significant digits, a unit, a dash for what is not known. Pure."""

from __future__ import annotations

from math import isnan

UNKNOWN = "–"
APP_CLOCK = "app's clock"
"""Marks what the app measured on its side of a network, where an engine's own clock does not reach."""


def marked(figure: str, by_app: bool) -> str:
    """A figure with the mark of the clock that measured it, if that is the app's."""
    if not by_app or figure == UNKNOWN:
        return figure
    return f"{figure} · {APP_CLOCK}" if figure else APP_CLOCK


def bits(value: float, digits: int = 1) -> str:
    """An entropy with its unit; NaN is not known."""
    return UNKNOWN if isnan(value) else f"{value:.{digits}f} bits"


def tps(value: float | None) -> str:
    """Tokens per second, without the unit."""
    if value is None:
        return UNKNOWN
    if value < 99.95:
        return f"{value:.1f}"
    return f"{value:.0f}" if value < 99_999.5 else f"{value / 1000:.0f}k"


def rate(value: float | None) -> str:
    """Tokens per second with the unit."""
    return f"{tps(value)} tok/s"


def ms(value: float | None) -> str:
    """A duration with its unit."""
    if value is None:
        return UNKNOWN
    if value < 0.995:
        return f"{value:.2f} ms"
    if value < 99.95:
        return f"{value:.1f} ms"
    return f"{value:.0f} ms" if value < 9_999.5 else f"{value / 1000:.1f} s"


def seconds(value_ms: float) -> str:
    """A duration in tenths of a second, for what people wait for."""
    return f"{value_ms / 1000:.1f} s"


def count(value: int) -> str:
    """A count of tokens."""
    return str(value) if value < 100_000 else f"{value / 1000:.0f}k"


def tokens(n: int) -> str:
    """A count of tokens with its noun."""
    return "1 token" if n == 1 else f"{count(n)} tokens"


def percent(fraction: float) -> str:
    """A fraction in percent: tenths below ten, and never 100 before it is whole."""
    value = fraction * 100
    if 0 < value < 0.05:
        return "<0.1 %"
    if value < 9.95:
        return f"{value:.1f} %"
    return f"{min(value, 99):.0f} %" if fraction < 1 else "100 %"


def parameters(n: int) -> str:
    """The size of a model."""
    return f"{n / 1e9:.1f} B parameters" if n >= 1e9 else f"{n / 1e6:.0f} M parameters"


def size(n_bytes: int | None) -> str:
    """A size in binary units; a dash if there is nothing."""
    if not n_bytes:
        return UNKNOWN
    value = n_bytes / (1 << 20)
    if value < 0.95:
        return f"{max(1, round(value * 1024))} KiB"
    if value < 9.95:
        return f"{value:.1f} MiB"
    return f"{value:.0f} MiB" if value < 1023.5 else f"{value / 1024:.1f} GiB"
