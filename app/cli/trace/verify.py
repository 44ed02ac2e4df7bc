"""`tok replay --verify`: computes a recorded run again in exact mode and shows where the tokens differ."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from itertools import zip_longest
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from app.analysis.recording import Recording
from app.cli.common import console
from app.cli.common.configuration import warn_of
from app.cli.common.engine import load_model
from app.cli.common.exit_codes import ExitCode
from app.cli.common.interrupt import running
from app.cli.common.launching import EngineLauncher
from app.cli.trace.digest import hash_model
from app.client.engine import Engine
from app.config.catalogue import load_catalogue
from app.config.settings import load_settings
from app.domain import units
from app.domain.errors import EngineLostError, GenerationError, UsageError
from app.domain.generation import FinishReason
from app.domain.text import one_line
from app.domain.trace import TokenTrace
from app.models.locate import LocatedModel, locate
from app.protocol.commands import Generate
from app.protocol.events import EngineLost, GenerationFinished, ModelReady, TokensGenerated


class Difference(Struct, frozen=True):
    """The first place where two runs part; a token of None is a run that has ended."""

    number: int
    """Counted from 1."""
    recorded: TokenTrace | None
    computed: TokenTrace | None


class Verdict(Struct, frozen=True, kw_only=True):
    """What a comparison found."""

    n_recorded: int
    n_same: int
    """Tokens before the first difference."""
    difference: Difference | None
    max_dp: float
    """The largest difference of p among the tokens that are the same."""
    warnings: tuple[str, ...] = ()


def compare(recorded: tuple[TokenTrace, ...], computed: tuple[TokenTrace, ...], *, ended: bool) -> Verdict:
    """Finds the first difference; tokens after the recorded ones count only where the recorded run had `ended`."""
    n_same, max_dp, difference = 0, 0.0, None
    for number, (old, new) in enumerate(zip_longest(recorded, computed), 1):
        if old is None and not ended:
            break
        if old is None or new is None or old.id != new.id:
            difference = Difference(number, old, new)
            break
        n_same += 1
        max_dp = max(max_dp, abs(old.p - new.p))
    return Verdict(n_recorded=len(recorded), n_same=n_same, difference=difference, max_dp=max_dp)


def print_verdict(verdict: Verdict) -> None:
    """Tells a person."""
    difference = verdict.difference
    if difference is None:
        p = f"p differs by at most {verdict.max_dp:.2g}" if verdict.max_dp else "with the same p"
        console.print_line(f"all the same: {units.tokens(verdict.n_same)}, {p}")
        return
    console.print_line(
        f"token {difference.number} of {verdict.n_recorded} differs: "
        f"recorded {_named(difference.recorded)}, now {_named(difference.computed)}"
    )
    console.print_line(f"before it: {units.tokens(verdict.n_same)} the same, p differs by at most {verdict.max_dp:.2g}")


def _named(token: TokenTrace | None) -> str:
    return f"{token.text!r} (#{token.id}, p {token.p:.6f}, rank {token.rank})" if token else "the end"


def as_object(verdict: Verdict) -> dict[str, Any]:
    """Returns what `--json` prints."""
    difference = verdict.difference
    return {
        "same": difference is None,
        "n_recorded": verdict.n_recorded,
        "n_same": verdict.n_same,
        "max_dp": verdict.max_dp,
        "first_difference": difference
        and {
            "token": difference.number,
            "recorded": _brief(difference.recorded),
            "computed": _brief(difference.computed),
        },
        "warnings": list(verdict.warnings),
    }


def _brief(token: TokenTrace | None) -> dict[str, Any] | None:
    return token and {"id": token.id, "text": token.text, "p": token.p, "rank": token.rank}


def run_verify(recording: Recording, model: str | None, launcher: EngineLauncher, *, as_json: bool) -> int:
    """Runs it again and reports. Raises TokscopeError for what goes wrong before there is a verdict."""
    if not recording.prompt:
        raise UsageError(f"{recording.source}: the prompt's tokens were not recorded, so the run cannot be repeated")
    if not recording.tokens:
        raise UsageError(f"{recording.source}: the trace has no tokens to compare")
    loaded, catalogue = load_settings(), load_catalogue()
    warn_of([*loaded.problems, *catalogue.problems])
    located = locate(model or recording.model.name, catalogue, loaded.settings.models_dir)
    ready = recording.model.ready
    options = replace(recording.model.options, n_ctx=ready.n_ctx, n_slots=1)
    if ready.native:
        options = replace(options, n_threads=ready.native.n_threads)
    verdict = asyncio.run(_verify(recording, replace(located, options=options), launcher))
    if as_json:
        console.print_json(as_object(verdict))
    else:
        print_verdict(verdict)
    return ExitCode.FAILED if verdict.difference else ExitCode.OK


async def _verify(recording: Recording, located: LocatedModel, launcher: EngineLauncher) -> Verdict:
    engine = launcher.engine()
    async with running(engine) as interrupt:
        ready = await load_model(engine, located)
        digest = await hash_model(located.path)
        warnings = tuple(_warnings(recording, digest.sha256, ready))
        for warning in warnings:
            console.print_stderr(f"tok: {warning}")
        computed = await _again(recording, engine)
        finished = recording.finished
        ended = finished is not None and finished.finish_reason in (FinishReason.STOP, FinishReason.LENGTH)
        return replace(compare(recording.tokens, computed, ended=ended), warnings=warnings)
    raise interrupt.ended


def _warnings(recording: Recording, sha256: str, ready: ModelReady) -> list[str]:
    """Tells what makes a difference likely, before it is looked for."""
    reported: list[str] = []
    if sha256 != recording.model.sha256:
        reported.append(f"another model file: recorded {recording.model.sha256[:12]}…, here {sha256[:12]}…")
    before, now = _computed_alike(recording.model.ready), _computed_alike(ready)
    reported += [
        f"another {name}: recorded {one_line(before[name])}, here {one_line(now[name])}"
        for name in now
        if name in before and before[name] != now[name]
    ]
    if not recording.sampling.exact:
        reported.append("it was not recorded with --exact: a close draw may differ")
    if recording.speculate or (recording.finished and recording.finished.drafting):
        reported.append("it was recorded with drafts: larger batches round differently, and a close draw may differ")
    return reported


def _computed_alike(ready: ModelReady) -> dict[str, str]:
    """What of a loaded model decides how its sums round, in words."""
    window = {"context window": str(ready.n_ctx)}
    if (native := ready.native) is None:
        return window
    return {
        "build": native.build,
        "number of threads": str(native.n_threads),
        **window,
        "flash attention": native.flash_attn,
        "placement": ", ".join(f"{on.n_layers} layers on {on.device}" for on in native.placement),
    }


async def _again(recording: Recording, engine: Engine) -> tuple[TokenTrace, ...]:
    """The tokens of the new run, which ends with the first difference or as soon as all were seen."""
    request_id = engine.next_request_id()
    command = Generate(
        request_id,
        recording.messages,
        replace(recording.sampling, exact=True, seed=recording.started.seed),
        trace_top_k=0,
        context_policy=recording.context,
        cacheable=False,
        prompt_ids=tuple(token.id for token in recording.prompt),
        prompt_spans=recording.started.spans,
    )
    recorded, computed = recording.tokens, list[TokenTrace]()
    console.print_stderr(f"tok: running {units.tokens(len(recorded))} again")
    async with aclosing(engine.generate(command)) as events:
        async for event in events:
            match event:
                case TokensGenerated():
                    expected = recorded[len(computed) :]
                    computed += event.tokens
                    if [old.id for old in expected[: len(event.tokens)]] != [new.id for new in event.tokens]:
                        break
                case GenerationFinished(finish_reason=FinishReason.ERROR):
                    raise GenerationError(event.error or "the engine refused the request", event.hint)
                case EngineLost():
                    raise EngineLostError(f"the engine was lost: {event.reason}")
                case _:
                    pass
    return tuple(computed)
