"""Runs suites one after another and gathers their rows. What a suite cannot measure is a row that says why."""

from __future__ import annotations

import asyncio
import datetime
import os
import platform
import tempfile
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from app import __version__
from app.cli.bench import basic, batch, depth, reuse, server, speculation
from app.cli.bench.probe import Probe
from app.cli.bench.report import progress
from app.cli.bench.rows import BenchRow, Report
from app.cli.common import console
from app.cli.common.interrupt import running
from app.cli.common.launching import EngineLauncher
from app.client.engine import Engine
from app.config.catalogue import load_catalogue
from app.config.settings import load_settings
from app.domain.errors import GenerationError, UsageError
from app.models.locate import LocatedModel, locate
from app.protocol.commands import LoadModel

Suite = Callable[[Probe, int], AsyncGenerator[BenchRow]]

SUITES: dict[str, Suite] = {
    basic.SUITE: basic.measure,
    depth.SUITE: depth.measure,
    speculation.SUITE: speculation.measure,
    reuse.SUITE: reuse.measure,
    batch.SUITE: batch.measure,
    server.SUITE: server.measure,
}
ALL = "all"


class BenchOptions(Struct, frozen=True, kw_only=True):
    """What the command line asks for."""

    model: str | None
    draft: str | None
    suites: tuple[str, ...]
    n_reps: int


def chosen(wanted: Sequence[str]) -> tuple[str, ...]:
    """Returns the wanted suites in their own order. Raises UsageError for one that does not exist."""
    for name in wanted:
        if name not in SUITES and name != ALL:
            raise UsageError(f"there is no suite `{name}`", hint=f"suites: {', '.join([*SUITES, ALL])}")
    return tuple(name for name in SUITES if name in wanted or ALL in wanted)


def run_bench(options: BenchOptions, launcher: EngineLauncher) -> Report:
    """Measures and returns the report; prints progress on standard error. Raises TokscopeError."""
    settings = load_settings().settings
    model = locate(options.model or settings.model, load_catalogue(), settings.models_dir, options.draft)
    remote = model.options.remote is not None
    suites = options.suites or ((server.SUITE,) if remote else (basic.SUITE,))
    if remote and suites != (server.SUITE,):
        raise UsageError(f"a server runs {model.name}: it is measured by the suite `{server.SUITE}` alone")
    options = replace(options, suites=suites)
    with tempfile.TemporaryDirectory(prefix="tok-bench-") as folder:  # no saved state of anybody's is used or evicted
        return asyncio.run(_measure(options, model, launcher, Path(folder)))


async def _measure(options: BenchOptions, model: LocatedModel, launcher: EngineLauncher, folder: Path) -> Report:
    engine = launcher.engine(folder / "engine.log")
    rows: list[BenchRow] = []
    async with running(engine) as interrupt:
        probe = Probe(engine, LoadModel(str(model.path), model.options, model.sizes))
        await probe.load()
        for name in options.suites:
            async for row in _guarded(name, probe, options.n_reps):
                console.print_stderr(progress(row))
                rows.append(row)
        return Report(environment=_environment(engine, model), rows=tuple(rows))
    raise interrupt.ended


async def _guarded(name: str, probe: Probe, n_reps: int) -> AsyncGenerator[BenchRow]:
    """One suite; a request that the engine refuses ends it with a row that says so."""
    try:
        async for row in SUITES[name](probe, n_reps):
            yield row
    except GenerationError as error:
        yield BenchRow(suite=name, name="the rest", unit="", missing=str(error))


def _environment(engine: Engine, model: LocatedModel) -> dict[str, Any]:
    ready, hello = engine.model, engine.hello
    assert ready is not None
    common = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "tokscope": __version__,
        "platform": platform.platform(),
        "python": platform.python_version(),
        "n_cpus": os.cpu_count(),
        "model": model.title,
        "file": Path(ready.path).name,
        "n_ctx": ready.n_ctx,
    }
    if (native := ready.native) is None or hello is None:
        return common | {"server": ready.server[0] if ready.server else ""}
    return common | {
        "build": native.build,
        "devices": [
            {"name": device.name, "description": device.description, "kind": device.kind} for device in hello.devices
        ],
        "architecture": native.architecture,
        "quant": native.quant,
        "n_params": native.n_params,
        "model_bytes": native.model_bytes,
        "n_threads": native.n_threads,
        "placement": {on.device: on.n_layers for on in native.placement},
        "flash_attn": native.flash_attn,
    }
