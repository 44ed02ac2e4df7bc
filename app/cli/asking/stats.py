"""`--stats`: the figures of one answer for people, on standard error."""

from __future__ import annotations

from app.cli import console
from app.cli.asking.answer import Answer


def print_stats(answer: Answer) -> None:
    """Tells what was prefilled, what came out of the cache, how fast it went and why it stopped."""
    usage, timings = answer.usage, answer.timings
    n_new = usage.n_prompt - usage.n_cached
    reason = answer.finish_reason or "unknown"
    stop = f" ({answer.stop.kind} {answer.stop.text!r})" if answer.stop else ""
    console.talk(
        f"model    {answer.model} · preset {answer.preset} · seed {answer.seed} · loaded in {_ms(answer.load_ms)}"
    )
    console.talk(
        f"prefill  {n_new} new + {usage.n_cached} cached tokens · {_ms(timings.prefill_ms)} · {_rate(timings.prefill_tps)}"
    )
    console.talk(
        f"decode   {usage.n_generated} tokens · {_ms(timings.decode_ms)} · {_rate(timings.decode_tps)}"
        f" · p50 {timings.p50_ms:.1f} p95 {timings.p95_ms:.1f} ms"
    )
    console.talk(f"first token after {_ms(timings.ttft_ms)} · stopped: {reason}{stop}")


def _ms(value: float) -> str:
    return f"{value / 1000:.2f} s" if value >= 1000 else f"{value:.0f} ms"


def _rate(value: float) -> str:
    return f"{value:.1f} tokens/s"
