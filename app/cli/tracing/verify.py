"""`tok replay --verify`: computes a recorded run again, in exact mode, and compares token by token."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from msgspec.structs import replace

from app.analysis.recording import Recording
from app.cli import console
from app.cli.asking.interrupt import Interrupt
from app.cli.asking.loading import load_model
from app.cli.configuration import warn_of
from app.cli.exit_codes import ExitCode
from app.cli.launch import EngineLauncher
from app.cli.tracing.digest import hash_model
from app.cli.tracing.verdict import Verdict, as_object, compare, count, print_verdict
from app.client.engine import Engine
from app.config.catalogue import load_catalogue
from app.config.settings import load_settings
from app.domain.errors import EngineLostError, GenerationError, UsageError
from app.domain.generation import FinishReason
from app.domain.text import one_line
from app.domain.trace import TokenTrace
from app.models.locate import LocatedModel, locate
from app.protocol.commands import Generate
from app.protocol.events import EngineLost, GenerationFinished, ModelReady, TokensGenerated


def run_verify(recording: Recording, model: str | None, launcher: EngineLauncher, *, as_json: bool) -> int:
    """Runs it again and reports. Raises TokscopeError for what goes wrong before there is a verdict."""
    if not recording.prompt:
        raise UsageError(f"{recording.source}: the prompt's tokens were not recorded, so nothing can be run again")
    if not recording.tokens:
        raise UsageError(f"{recording.source}: it has no tokens, so nothing can be compared")
    loaded, catalogue = load_settings(), load_catalogue()
    warn_of([*loaded.problems, *catalogue.problems])
    located = locate(model or recording.model.name, catalogue, loaded.settings.models_dir)
    ready = recording.model.ready
    options = replace(recording.model.options, n_ctx=ready.n_ctx, n_threads=ready.n_threads, n_slots=1)
    verdict = asyncio.run(_verify(recording, replace(located, options=options), launcher))
    if as_json:
        console.print_json(as_object(verdict))
    else:
        print_verdict(verdict)
    return ExitCode.FAILED if verdict.difference else ExitCode.OK


async def _verify(recording: Recording, located: LocatedModel, launcher: EngineLauncher) -> Verdict:
    engine = launcher.engine()
    try:
        with Interrupt(engine) as interrupt:
            try:
                ready = await load_model(engine, located)
                digest = await hash_model(located.path)
                warnings = tuple(_warnings(recording, digest.sha256, ready))
                for warning in warnings:
                    console.talk(f"tok: {warning}")
                computed = await _again(recording, engine)
            except asyncio.CancelledError:
                raise interrupt.ended from None
    finally:
        await engine.close()
    finished = recording.finished
    ended = finished is not None and finished.finish_reason in (FinishReason.STOP, FinishReason.LENGTH)
    return replace(compare(recording.tokens, computed, ended=ended), warnings=warnings)


def _warnings(recording: Recording, sha256: str, ready: ModelReady) -> list[str]:
    """Tells what makes a difference likely, before it is looked for."""
    told: list[str] = []
    if sha256 != recording.model.sha256:
        told.append(f"another model file: recorded {recording.model.sha256[:12]}…, here {sha256[:12]}…")
    before, now = _computed_alike(recording.model.ready), _computed_alike(ready)
    told += [
        f"another {name}: recorded {one_line(before[name])}, here {one_line(now[name])}"
        for name in now
        if before[name] != now[name]
    ]
    if not recording.sampling.exact:
        told.append("it was not recorded with --exact: a close draw may fall otherwise")
    if recording.speculate or (recording.finished and recording.finished.drafting):
        told.append("it was recorded with drafts: larger batches round otherwise, and a close draw may fall otherwise")
    return told


def _computed_alike(ready: ModelReady) -> dict[str, str]:
    """What of a loaded model decides how its sums round, in words."""
    return {
        "build": ready.build,
        "number of threads": str(ready.n_threads),
        "context window": str(ready.n_ctx),
        "flash attention": ready.flash_attn,
        "placement": ", ".join(f"{on.n_layers} layers on {on.device}" for on in ready.placement),
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
    console.talk(f"tok: running {count(len(recorded))} again")
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
