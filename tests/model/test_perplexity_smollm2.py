"""The perplexity of a fixed text beside the figure of llama.cpp's own tool."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import pytest

from app.client.worker_client import WorkerClient
from app.domain.model import LoadOptions
from app.protocol.commands import LoadModel, Score
from app.protocol.events import ScoreFinished
from tests.process.streams import collect

pytestmark = [pytest.mark.model, pytest.mark.slow]

TEXT = Path(__file__).resolve().parents[2] / "LICENSE"
SHA256 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
N_CTX = 512
THEIRS = 15.9289
"""`llama-perplexity -f LICENSE -c 512`, built by `tests.bench.against_perplexity` for llama-cpp-python 0.3.36."""


async def test_the_perplexity_is_that_of_llama_perplexity(tmp_path: Path, smollm2: Path) -> None:
    data = TEXT.read_bytes()
    changed = "the text is another one: run `python -m tests.bench.against_perplexity --file LICENSE` for its figure"
    assert hashlib.sha256(data).hexdigest() == SHA256, changed
    client = WorkerClient(tmp_path / "engine.log")
    try:
        await collect(client.load(LoadModel(str(smollm2), LoadOptions(n_ctx=N_CTX, n_slots=1))))
        events = await collect(client.score(Score(client.next_request_id(), data.decode(), 0, N_CTX)))
    finally:
        await client.close()
    ended = events[-1]
    assert isinstance(ended, ScoreFinished)
    assert (ended.error, ended.n_tokens, ended.n_scored) == ("", 2215, 1020)
    assert math.exp(ended.nll / ended.n_scored) == pytest.approx(THEIRS, rel=0.005)
