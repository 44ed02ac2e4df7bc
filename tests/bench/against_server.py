"""The engine beside llama-server, interleaved: `python -m tests.bench.against_server [--only ROW] [--rounds N]`.

llama-server is built from the sdist of the installed llama-cpp-python against the installed libraries. Both get the
same model, threads, chain and messages; requests go over loopback or the worker's pipe. Every round measures each
contender once, and the tables show medians and ratios. Nothing else may run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from app.cli.bench.probe import Probe, user
from app.client.worker_client import WorkerClient
from app.config.catalogue import load_catalogue
from app.domain.conversation import Role
from app.domain.model import LoadOptions
from app.domain.sampling import SamplingParams
from app.models.locate import locate
from app.protocol.commands import ChatMessage, LoadModel
from tests.bench import llama_bench, llama_server
from tests.bench.against_peers import table
from tests.bench.against_tools import Measure, interleaved, of_tool
from tests.bench.llama_server import Server
from tests.e2e.terminal import TOK

N_GEN, N_ANSWER, N_REQUESTS, N_SYSTEM = 128, 24, 8, 950
N_CTX = 2048
SIZES = (1, 4, 8)
STORY = "Write a very long story about a lighthouse keeper, with many chapters. Do not stop."
PERSON = "Describe one person of a novel as JSON."
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "age": {"type": "integer"},
            "traits": {"type": "array", "items": {"type": "string"}, "maxItems": 5},
            "story": {"type": "string"},
        },
        "required": ["name", "age", "traits", "story"],
        "additionalProperties": False,
    }
)
CHAIN = {"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05}
ROWS = ("plain", "schema", "shared", "apart")


def sampling(seed: int, max_tokens: int, **more: Any) -> SamplingParams:
    return SamplingParams(seed=seed, max_tokens=max_tokens, **CHAIN, **more)


def as_json(messages: Sequence[ChatMessage]) -> list[dict[str, str]]:
    return [{"role": message.role.value, "content": message.content} for message in messages]


class Contest:
    """Both sides, started when they are first needed and kept until the end."""

    def __init__(self, model: Path, n_threads: int, source: Path | None, log: Path) -> None:
        self.model, self.n_threads, self.source = model, n_threads, source
        self._log = log
        self._probes: dict[int, Probe] = {}
        self._servers: dict[int, Server] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Contest:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def probe(self, n_slots: int) -> Probe:
        """Returns our engine with so many slots."""
        if n_slots not in self._probes:
            client = WorkerClient(self._log)
            self._stack.push_async_callback(client.close)
            options = LoadOptions(n_threads=self.n_threads, n_slots=n_slots, n_ctx=N_CTX)
            probe = self._probes[n_slots] = Probe(client, LoadModel(str(self.model), options))
            await probe.load()
        return self._probes[n_slots]

    def server(self, n_slots: int) -> Server:
        """Returns llama-server with so many slots."""
        if n_slots not in self._servers:
            binary = llama_server.build(self.source)
            server = Server(binary, self.model, n_threads=self.n_threads, n_slots=n_slots, n_ctx=N_CTX)
            self._servers[n_slots] = self._stack.enter_context(server)
        return self._servers[n_slots]

    async def ours(self, prompt: str, trace_top_k: int, **more: Any) -> Measure:
        probe = await self.probe(1)

        async def measure(round_: int) -> float:
            params = sampling(round_, N_GEN, **more)
            return (await probe.ask(user(prompt), params, trace_top_k=trace_top_k)).rate

        return measure

    def theirs(self, prompt: str, **more: Any) -> Measure:
        server = self.server(1)

        async def measure(round_: int) -> float:
            body = {"seed": round_, "max_tokens": N_GEN, **CHAIN, **more}
            return (await asyncio.to_thread(server.ask, as_json(user(prompt)), body)).rate

        return measure

    async def our_batch(self, n_slots: int, many: Callable[[int], Sequence[Sequence[ChatMessage]]]) -> Measure:
        """Returns what measures the seconds for all requests of a round, `n_slots` of them at once."""
        probe = await self.probe(n_slots)

        async def measure(round_: int) -> float:
            turns = asyncio.Semaphore(n_slots)

            async def one(messages: Sequence[ChatMessage]) -> None:
                async with turns:
                    await probe.ask(messages, sampling(round_, N_ANSWER), trace_top_k=0)

            began = time.perf_counter()
            await asyncio.gather(*(one(messages) for messages in many(round_)))
            return time.perf_counter() - began

        return measure

    def their_batch(self, n_slots: int, many: Callable[[int], Sequence[Sequence[ChatMessage]]]) -> Measure:
        """The same of llama-server."""
        server = self.server(n_slots)

        def run(round_: int) -> float:
            body: Mapping[str, Any] = {"seed": round_, "max_tokens": N_ANSWER, **CHAIN}
            with ThreadPoolExecutor(n_slots) as pool:
                began = time.perf_counter()
                list(pool.map(lambda messages: server.ask(as_json(messages), body), many(round_)))
                return time.perf_counter() - began

        return lambda round_: asyncio.to_thread(run, round_)


def questions(shared: Callable[[int], str]) -> Callable[[int], list[tuple[ChatMessage, ...]]]:
    """Returns what makes a round's requests; a system prompt of `shared` stands before each where it is not empty."""
    topics = ("rain", "a bridge", "bread", "winter", "an old ship", "two foxes", "a clock", "the moon")

    def many(round_: int) -> list[tuple[ChatMessage, ...]]:
        text = shared(round_)
        before = (ChatMessage(Role.SYSTEM, text),) if text else ()
        return [(*before, *user(f"Write a long story about {topic} ({round_}).")) for topic in topics[:N_REQUESTS]]

    return many


def ask_rate(round_: int) -> float:
    """Decode rate of a `tok ask` of its own process, which traces ten candidates a token."""
    chain = [f"--{name.replace('_', '-')}={value}" for name, value in CHAIN.items()]
    options = ("--json", "--no-save", f"--max-tokens={N_GEN}", f"--seed={round_}", *chain)
    run = subprocess.run(
        [*TOK, "ask", STORY, *options], capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL
    )
    return float(json.loads(run.stdout)["timings"]["decode_tps"])


async def plain(contest: Contest, rounds: int) -> None:
    binary, threads = llama_bench.build(contest.source), contest.n_threads
    depth = (await (await contest.probe(1)).ask(user(STORY), sampling(0, 1))).usage.n_prompt
    contenders: dict[str, Measure] = {
        "engine, trace k=10": await contest.ours(STORY, 10),
        "engine, no trace": await contest.ours(STORY, 0),
        "tok ask, trace k=10": lambda round_: asyncio.to_thread(ask_rate, round_),
        "llama-server": contest.theirs(STORY),
        "llama-server, top_logprobs 10": contest.theirs(STORY, logprobs=True, top_logprobs=10),
        f"llama-bench tg{N_GEN} @ d{depth}": of_tool(
            llama_bench.tokens_per_second, binary, contest.model, n_threads=threads, depth=depth
        ),
    }
    goal = "at least 1.02 of llama-server, 0.95 of llama-bench"
    table("decode", "tokens/s", await interleaved(contenders, rounds), goal)


async def schema(contest: Contest, rounds: int) -> None:
    response_format = {"type": "json_schema", "json_schema": {"schema": json.loads(SCHEMA)}}
    contenders = {
        "engine, schema, trace k=10": await contest.ours(PERSON, 10, json_schema=SCHEMA),
        "engine, no schema, trace k=10": await contest.ours(PERSON, 10),
        "llama-server, schema": contest.theirs(PERSON, response_format=response_format),
        "llama-server, no schema": contest.theirs(PERSON),
    }
    table("JSON by a schema", "tokens/s", await interleaved(contenders, rounds), "at least 1 of llama-server")


async def batches(contest: Contest, rounds: int, title: str, shared: Callable[[int], str]) -> None:
    many, ours, theirs = questions(shared), dict[str, Measure](), dict[str, Measure]()
    for n in SIZES:
        ours[f"engine, {n} at once"] = await contest.our_batch(n, many)
        theirs[f"llama-server, {n} at once"] = contest.their_batch(n, many)
    found = await interleaved(ours | theirs, rounds)
    print(f"\n{title}: {N_REQUESTS} requests, {N_ANSWER} tokens each (seconds; nothing is cached before)")
    one = found["engine, 1 at once"]
    for n in SIZES:
        own, their = found[f"engine, {n} at once"], found[f"llama-server, {n} at once"]
        print(f"  {n} at once: ours {own:7.2f}   theirs {their:7.2f}   theirs / ours {their / own:5.2f}", end="")
        print(f"   ours / ours one by one {own / one:5.2f}")


async def system_prompts(contest: Contest, rounds: int) -> Callable[[int], str]:
    """Returns a system prompt for each round, new in every round, the same for all contenders in it."""
    probe = await contest.probe(1)
    texts = [await probe.filler(N_SYSTEM) for _ in range(rounds + 1)]
    return texts.__getitem__


async def run(options: argparse.Namespace, model: Path, log: Path) -> None:
    wanted = options.only or ROWS
    async with Contest(model, options.threads, options.source, log) as contest:
        if "plain" in wanted:
            await plain(contest, options.rounds)
        if "schema" in wanted:
            await schema(contest, options.rounds)
        if "shared" in wanted:
            shared = await system_prompts(contest, options.rounds)
            title = f"a shared system prompt of {N_SYSTEM} tokens"
            await batches(contest, options.rounds, title, shared)
        if "apart" in wanted:
            await batches(contest, options.rounds, "short questions", lambda _: "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="a name or a path; the catalogue's default otherwise")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--source", type=Path, help="an unpacked sdist of llama-cpp-python, to build the tools from")
    parser.add_argument("--only", action="append", choices=ROWS)
    options = parser.parse_args()
    model = locate(options.model, load_catalogue(), None).path
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {f"TOKSCOPE_{kind}_DIR": str(Path(folder) / kind.lower()) for kind in ("CONFIG", "DATA")}
        asyncio.run(run(options, model, Path(folder) / "engine.log"))


if __name__ == "__main__":
    main()
