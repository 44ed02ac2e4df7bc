"""The engine beside llama.cpp's own tools, headless: `python -m tests.bench.against_tools [--model FILE]`.

One worker stays open; every round measures each contender once (interleaved), and the tables show medians and ratios.
Nothing else may run on the machine meanwhile. Synthetic models of any size come from `python -m tests.synthetic`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

from app.cli.bench.probe import Probe, user
from app.client.worker_client import WorkerClient
from app.config.catalogue import load_catalogue
from app.domain.model import LoadOptions
from app.domain.sampling import SamplingParams
from app.models.locate import locate
from app.protocol.commands import LoadModel
from tests.bench import llama_bench
from tests.bench.against_peers import table

N_PROMPT, N_GEN, N_PARALLEL = 512, 128, 8
STORY = "Write a very long story about a lighthouse keeper, with many chapters. Do not stop."

Measure = Callable[[int], Awaitable[float]]


async def interleaved(contenders: dict[str, Measure], rounds: int) -> dict[str, float]:
    """Returns each contender's median over the rounds, after one round that is thrown away."""
    samples: dict[str, list[float]] = {name: [] for name in contenders}
    for round_ in range(rounds + 1):
        for name, measure in contenders.items():
            value = await measure(round_)
            if round_:
                samples[name].append(value)
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return {name: median(values) for name, values in samples.items()}


class Ours:
    """What our engine does in one round of each contest."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe

    async def loop(self, round_: int, trace_top_k: int = 10) -> float:
        sampling = SamplingParams(seed=round_, max_tokens=N_GEN)
        return (await self._probe.ask(user(STORY), sampling, trace_top_k=trace_top_k)).rate

    async def raw(self, n_prompt: int, n_gen: int) -> float:
        return await self._probe.raw(n_prompt, n_gen)

    async def prefill(self, _: int) -> float:
        """New prompt tokens a second until the first token is here."""
        run = await self._probe.ask(user(await self._probe.filler(N_PROMPT)), SamplingParams(max_tokens=1))
        return (run.usage.n_prompt - run.usage.n_cached) / run.ttft_s

    async def parallel(self, round_: int, n: int) -> float:
        """Tokens a second of `n` continuations together, while all of them decode."""

        def one(i: int):
            sampling = SamplingParams(seed=100 * round_ + i, max_tokens=N_GEN)
            return self._probe.ask(user(STORY), sampling, shares_prefix=True)

        runs = await asyncio.gather(*(one(i) for i in range(n)))
        begin, end = max(run.ttft_s for run in runs), min(run.finished_s for run in runs)
        return sum(count for run in runs for at, count in run.arrivals if begin < at <= end) / (end - begin)


def of_tool(measure: Callable[..., float], *arguments: object, **options: object) -> Measure:
    async def run(_: int) -> float:
        return await asyncio.to_thread(measure, *arguments, **options)

    return run


async def contest(options: argparse.Namespace, model: Path, log: Path) -> None:
    client = WorkerClient(log)
    probe = Probe(client, LoadModel(str(model), LoadOptions(n_threads=options.threads)))
    threads, rounds = {"n_threads": options.threads}, options.rounds
    wanted = options.only or ("decode", "prefill", "batch")
    try:
        await probe.load()
        ours = Ours(probe)
        if "decode" in wanted:
            binary = llama_bench.build(options.source)
            depth = (await probe.ask(user(STORY), SamplingParams(max_tokens=1))).usage.n_prompt
            contenders: dict[str, Measure] = {
                "whole loop, trace k=10": ours.loop,
                "whole loop, no trace": lambda round_: ours.loop(round_, 0),
                f"tok bench tg{N_GEN}": lambda _: ours.raw(0, N_GEN),
                f"llama-bench tg{N_GEN}": of_tool(llama_bench.tokens_per_second, binary, model, **threads),
                f"llama-bench tg{N_GEN} @ d{depth}": of_tool(
                    llama_bench.tokens_per_second, binary, model, **threads, depth=depth
                ),
            }
            table("decode", "tokens/s", await interleaved(contenders, rounds), "at least 0.97 of llama-bench")
        if "prefill" in wanted:
            binary = llama_bench.build(options.source)
            contenders = {
                f"whole loop, {N_PROMPT} new tokens": ours.prefill,
                f"tok bench pp{N_PROMPT}": lambda _: ours.raw(N_PROMPT, 0),
                f"llama-bench pp{N_PROMPT}": of_tool(llama_bench.prompt_tokens_per_second, binary, model, **threads),
            }
            table("prefill", "tokens/s", await interleaved(contenders, rounds), "at least 0.98 of llama-bench")
        if "batch" in wanted:
            batched = llama_bench.build(options.source, "llama-batched-bench")
            sizes = {"n_sequences": N_PARALLEL, "n_prompt": 48, "n_generate": N_GEN}
            contenders = {
                f"{N_PARALLEL} continuations": lambda round_: ours.parallel(round_, N_PARALLEL),
                "1 continuation": lambda round_: ours.parallel(round_, 1),
                "llama-batched-bench -pps": of_tool(
                    llama_bench.batched_tokens_per_second, batched, model, **threads, **sizes
                ),
            }
            table("batch", "tokens/s", await interleaved(contenders, rounds), "at least 1.8 of one, 0.95 of the tool")
    finally:
        await client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="a name or a path; the catalogue's default otherwise")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--source", type=Path, help="an unpacked sdist of llama-cpp-python, to build the tools from")
    parser.add_argument("--only", action="append", choices=["decode", "prefill", "batch"])
    options = parser.parse_args()
    model = locate(options.model, load_catalogue(), None).path
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(contest(options, model, Path(folder) / "engine.log"))


if __name__ == "__main__":
    main()
