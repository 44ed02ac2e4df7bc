"""`--stats`: the figures of one answer for people, on standard error."""

from __future__ import annotations

from collections.abc import Iterable

from app.analysis.drafting import Drafting
from app.cli import console
from app.cli.asking.answer import Answer
from app.domain.generation import DraftCounts


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
    if answer.drafting:
        rows["drafts"] = _drafts(answer.drafted)
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
    drafts = (told_drafts([answer.drafting]),) if answer.drafting else ()
    console.talk(f"{name:<8} {' · '.join((*cells, *drafts))}")


def told_drafts(counts: Iterable[DraftCounts]) -> str:
    """How many of the drafted tokens were accepted, in a few words."""
    told = list(counts)
    n_drafted, n_accepted = sum(one.n_drafted for one in told), sum(one.n_accepted for one in told)
    return f"{n_accepted} of {n_drafted} drafts accepted" if n_drafted else "nothing drafted"


def _drafts(drafted: Drafting) -> tuple[str, ...]:
    counts, gain = drafted.counts, drafted.gain
    if not counts.n_steps:
        return ("none: no draft seemed to pay",)
    places = " ".join(f"{share:.0%}" for share in drafted.acceptance)
    told = "gain unknown: too few steps with and without drafts"
    if gain:
        told = f"{'gain' if gain.saved_ms >= 0 else 'loss'} ×{gain.ratio:.2f} against the plain steps"
    accepted = f"{counts.n_accepted} of {counts.n_drafted} tokens accepted"
    steps = f"{counts.n_steps} step{'' if counts.n_steps == 1 else 's'}"
    return (accepted, steps, f"{drafted.mean_accepted:.1f} a step", f"by place {places}", told)


def _ms(value: float) -> str:
    return f"{value / 1000:.2f} s" if value >= 1000 else f"{value:.0f} ms"


def _rate(value: float) -> str:
    return f"{value:.1f} tokens/s"
