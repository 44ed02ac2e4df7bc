"""`--stats`: the figures of one answer for people, on standard error."""

from __future__ import annotations

from app.cli import console
from app.cli.asking.answer import Answer


def print_stats(answer: Answer) -> None:
    """Tells what was prefilled, what came out of the cache, how fast it went and why it stopped."""
    usage, timings = answer.usage, answer.timings
    prefill = f"{usage.n_prompt - usage.n_cached} new + {usage.n_cached} cached tokens"
    spread = f"p50 {timings.p50_ms:.1f} p95 {timings.p95_ms:.1f} ms"
    stop = f" ({answer.stop.kind} {answer.stop.text!r})" if answer.stop else ""
    rows: dict[str, tuple[str, ...]] = {
        "model": (answer.model, f"preset {answer.preset}", f"seed {answer.seed}", f"loaded in {_ms(answer.load_ms)}"),
        "prefill": (prefill, _ms(timings.prefill_ms), _rate(timings.prefill_tps)),
        "decode": (f"{usage.n_generated} tokens", _ms(timings.decode_ms), _rate(timings.decode_tps), spread),
        "first": (f"token after {_ms(timings.ttft_ms)}",),
        "stopped": (f"{answer.finish_reason or 'unknown'}{stop}",),
    }
    if drafting := answer.drafting:
        rows["drafts"] = (f"{drafting.n_accepted} of {drafting.n_drafted} tokens accepted", f"{drafting.n_steps} steps")
    for name, cells in rows.items():
        console.talk(f"{name:<8} {' · '.join(cells)}")


def print_row(name: str, answer: Answer) -> None:
    """Tells the figures of one of several answers on one line."""
    usage, timings = answer.usage, answer.timings
    cells = (
        f"seed {answer.seed}",
        f"{usage.n_prompt - usage.n_cached} new + {usage.n_cached} cached tokens",
        f"{usage.n_generated} tokens",
        _rate(timings.decode_tps),
        f"first after {_ms(timings.ttft_ms)}",
        str(answer.finish_reason or "unknown"),
    )
    console.talk(f"{name:<8} {' · '.join(cells)}")


def _ms(value: float) -> str:
    return f"{value / 1000:.2f} s" if value >= 1000 else f"{value:.0f} ms"


def _rate(value: float) -> str:
    return f"{value:.1f} tokens/s"
