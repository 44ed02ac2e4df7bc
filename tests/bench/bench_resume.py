"""Reopening a saved conversation against prefilling it: `python -m tests.bench.bench_resume [N_TOKENS]`.

Interleaved rounds in one process, a fresh context each; prints milliseconds to the first token and their ratio.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from app.domain.model import LoadOptions
from app.domain.sampling import SamplingParams
from app.engine.core.scheduler import Scheduler
from app.engine.core.sequence import CacheFacts, Sequence
from app.engine.kv.store import KvStore
from app.engine.native import library
from app.engine.native.context import NativeContext
from app.engine.native.loader import load
from tests.fakes.smollm2 import smollm2_path

N_ROUNDS = 3
N_NEW = 20


def main() -> None:
    """Measures and prints."""
    n_tokens = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    library.start()
    loaded = load(str(smollm2_path()), LoadOptions(n_ctx=n_tokens + 200, n_slots=1), lambda fraction: True)
    story = loaded.model.vocab.tokenize(b"The harbour town lay quiet and nobody saw the boat come in. " * n_tokens)
    prompt = story[:n_tokens]

    def first_token_ms(prompt: list[int], folder: Path) -> tuple[float, Sequence, float]:
        context = NativeContext(loaded.model, LoadOptions(n_slots=1), n_tokens + 200)
        store = KvStore(folder, b"k" * 32)
        scheduler = Scheduler(context, archive=store)
        params = SamplingParams(temperature=0, max_tokens=1)
        sequence = Sequence(1, prompt, params, 0, time.perf_counter(), cache=CacheFacts(cacheable=True))
        scheduler.submit(sequence)
        while not scheduler.idle:
            scheduler.step()
        began = time.perf_counter()
        scheduler.reuse.keep_all(float("inf"))
        store.close(60)
        saving_ms = (time.perf_counter() - began) * 1e3
        context.close()
        return sequence.timings(0, 0).ttft_ms, sequence, saving_ms

    computed: list[float] = []
    restored: list[float] = []
    for _ in range(N_ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            ms, sequence, saving_ms = first_token_ms(prompt, Path(folder))
            assert sequence.cache.n_cached == 0
            computed.append(ms)
            n_bytes = sum(path.stat().st_size for path in Path(folder).iterdir())
            print(f"prefill {n_tokens}: {ms:.0f} ms; saved {n_bytes / 1e6:.1f} MB in {saving_ms:.0f} ms")
            ms, sequence, _ = first_token_ms([*prompt, *story[:N_NEW]], Path(folder))
            assert sequence.cache.n_restored >= n_tokens - 1
            restored.append(ms)
            print(f"reopened with {N_NEW} new tokens: {ms:.0f} ms")
    ratio = statistics.median(restored) / statistics.median(computed)
    print(
        f"median {statistics.median(restored):.0f} / {statistics.median(computed):.0f} ms = {ratio:.3f} (at most 0.10)"
    )
    loaded.close()


if __name__ == "__main__":
    main()
