"""The distribution before the chain equals an exact float64 softmax."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine.core.distribution import Distribution


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 3000), st.integers(0, 20), st.floats(0.01, 30), st.integers(0, 2**32 - 1))
def test_it_equals_an_exact_softmax(n_vocab: int, k: int, scale: float, seed: int) -> None:
    logits = (np.random.default_rng(seed).standard_normal(n_vocab) * scale).astype(np.float32)
    chosen = seed % n_vocab
    measured = Distribution(n_vocab).measure(logits, chosen, k)
    exact = logits.astype(np.float64)
    exact = np.exp(exact - exact.max())
    exact /= exact.sum()
    assert measured.p == pytest.approx(exact[chosen], abs=1e-5)
    assert measured.rank == 1 + int((logits > logits[chosen]).sum())
    positive = exact[exact > 0]
    assert measured.entropy == pytest.approx(-(positive * np.log2(positive)).sum(), abs=1e-3)
    best = np.argsort(-logits, kind="stable")[:k]
    assert [token for token, _ in measured.top] == best.tolist()
    assert [p for _, p in measured.top] == pytest.approx(exact[best].tolist(), abs=1e-5)


def test_masked_tokens_do_not_spoil_the_entropy() -> None:
    logits = np.array([1.0, 1.0, -np.inf, -np.inf], np.float32)
    measured = Distribution(4).measure(logits, 0, 3)
    assert measured.entropy == pytest.approx(1.0)
    assert measured.p == pytest.approx(0.5)


@pytest.mark.parametrize("n_nan", [1, 4000])
@pytest.mark.parametrize("k", [0, 10])
def test_logits_that_are_no_numbers_are_measured_without_an_error(n_nan: int, k: int) -> None:
    logits = np.zeros(4000, np.float32)
    logits[:n_nan] = np.nan
    assert math.isnan(Distribution(4000).measure(logits, 7, k).logprob)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 200), st.integers(0, 20), st.integers(0, 2**32 - 1))
def test_what_the_sampler_found_changes_no_figure(n_near: int, k: int, seed: int) -> None:
    logits = (np.random.default_rng(seed).standard_normal(500) * 3).astype(np.float32)
    near = np.sort(np.argsort(-logits, kind="stable")[:n_near])
    measure = Distribution(500).measure
    assert measure(logits, seed % 500, k, near) == measure(logits, seed % 500, k)
