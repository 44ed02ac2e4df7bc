"""`tok inspect` beside llama.cpp's own tool: `python -m tests.bench.against_perplexity [--model FILE] [--file TEXT]`.

The same text in the same windows. The figures must agree to half a percent; the exit code is 1 where they do not.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import sys
import tempfile
from pathlib import Path

from app.client.worker_client import WorkerClient
from app.config.catalogue import load_catalogue
from app.domain.model import LoadOptions
from app.models.locate import locate
from app.protocol.commands import LoadModel, Score
from app.protocol.events import EngineLost, ModelReady, ScoreFinished
from tests.bench import llama_bench

ROOT = Path(__file__).resolve().parents[2]
TEXTS = ("LICENSE", "README.md", "CONTRIBUTING.md")
"""Plain English of some thousand tokens that everybody has."""
AGREES = 0.005


async def ours(model: Path, text: str, n_ctx: int, n_threads: int) -> ScoreFinished:
    """What our engine says. Raises RuntimeError where it says that it cannot."""
    with tempfile.TemporaryDirectory(prefix="tok-ppl-") as folder:
        client = WorkerClient(Path(folder) / "engine.log")
        try:
            options = LoadOptions(n_ctx=n_ctx, n_slots=1, n_threads=n_threads)
            loaded = [event async for event in client.load(LoadModel(str(model), options))][-1]
            if not isinstance(loaded, ModelReady):
                raise RuntimeError(str(loaded))
            ended = [event async for event in client.score(Score(client.next_request_id(), text, 0, n_ctx))][-1]
        finally:
            await client.close()
    if isinstance(ended, EngineLost) or not isinstance(ended, ScoreFinished) or ended.error:
        raise RuntimeError(str(ended))
    return ended


def main() -> int:
    """Measures, prints both figures and says whether they agree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="a GGUF file; the catalogue's model if left out")
    parser.add_argument("--file", type=Path, action="append", help="a text; may be repeated")
    parser.add_argument("--ctx", type=int, default=512)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--source", type=Path, help="an unpacked sdist of llama-cpp-python")
    chosen = parser.parse_args()
    model = locate(chosen.model, load_catalogue(), None).path
    files = chosen.file or [ROOT / name for name in TEXTS]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    tool = llama_bench.build(chosen.source, "llama-perplexity")
    with tempfile.TemporaryDirectory(prefix="tok-ppl-") as folder:
        path = Path(folder) / "text"
        path.write_text(text, encoding="utf-8")
        theirs, error = llama_bench.perplexity(tool, model, path, n_ctx=chosen.ctx, n_threads=chosen.threads)
    found = asyncio.run(ours(model, text, chosen.ctx, chosen.threads))
    own = math.exp(found.nll / found.n_scored)
    print(f"perplexity in windows of {chosen.ctx} tokens; {found.n_scored} of {found.n_tokens} tokens count")
    print(f"  llama-perplexity  {theirs:10.4f}  ± {error:.4f}")
    print(f"  tok inspect       {own:10.4f}")
    print(f"  difference        {100 * (own / theirs - 1):+10.4f} %  (at most {100 * AGREES} %)")
    return 0 if abs(own / theirs - 1) <= AGREES else 1


if __name__ == "__main__":
    sys.exit(main())
