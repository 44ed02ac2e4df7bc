"""One streamed answer of the `Llama` class, timed: a program of its own, so that each run starts as cold as `tok ask`.

Usage: python -m tests.bench.llama_class MODEL N_THREADS N_CTX MAX_TOKENS SEED LOGPROBS PROMPT

LOGPROBS above 0 asks for as many alternatives of each token: what tokscope's trace carries too.
"""

from __future__ import annotations

import json
import sys
import time

from llama_cpp import Llama


def main(model: str, n_threads: int, n_ctx: int, max_tokens: int, seed: int, logprobs: int, prompt: str) -> None:
    """Prints `{"n_generated", "decode_tps"}`; the rate counts from the first token to the last, as tokscope's does."""
    llama = Llama(
        model, n_threads=n_threads, n_threads_batch=n_threads, n_ctx=n_ctx, logits_all=logprobs > 0, verbose=False
    )
    stream = llama.create_chat_completion(
        [{"role": "user", "content": prompt}],
        stream=True,
        max_tokens=max_tokens,
        seed=seed,
        temperature=0.8,
        top_k=40,
        top_p=0.95,
        min_p=0.1,
        repeat_penalty=1.1,
        logprobs=logprobs > 0,
        top_logprobs=logprobs or None,
    )
    times = [time.perf_counter() for chunk in stream if "content" in chunk["choices"][0]["delta"]]
    n_steps = len(times) - 1
    print(json.dumps({"n_generated": len(times), "decode_tps": n_steps / (times[-1] - times[0])}))


if __name__ == "__main__":
    main(sys.argv[1], *(int(word) for word in sys.argv[2:7]), sys.argv[7])
