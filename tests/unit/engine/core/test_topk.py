import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine.core import topk


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5000), st.integers(1, 300), st.integers(0, 2**32 - 1), st.booleans())
def test_the_k_best_are_those_of_a_sort(n: int, k: int, seed: int, ties: bool) -> None:
    values = np.random.default_rng(seed).standard_normal(n).astype(np.float32)
    values = np.round(values, 1) if ties else values
    assert topk.best(values, k).tolist() == np.argsort(-values, kind="stable")[:k].tolist()
    found, threshold, maximum = topk.candidates(values, k)
    assert maximum == values.max()
    assert found.tolist() == np.flatnonzero(values >= threshold).tolist()
    assert len(found) >= min(k, n)


@pytest.mark.parametrize("n", [49_152, 151_936, 32_000, 70])
def test_few_others_are_found(n: int) -> None:
    values = np.random.default_rng(1).standard_normal(n).astype(np.float32)
    found, _, _ = topk.candidates(values, 40)
    assert 40 <= len(found) <= 50 or n == 70


def test_masked_values_come_last() -> None:
    values = np.full(3000, -np.inf, np.float32)
    values[[7, 2999]] = 1.0, 2.0
    assert topk.best(values, 4).tolist() == [2999, 7, 0, 1]


@pytest.mark.parametrize("at", [0, 2999])
def test_a_value_that_is_no_number_is_reported(at: int) -> None:
    values = np.zeros(3000, np.float32)
    values[at] = np.nan
    _, _, maximum = topk.candidates(values, 40)
    assert math.isnan(maximum)


def test_none_are_none() -> None:
    assert topk.best(np.zeros(10, np.float32), 0).tolist() == []
