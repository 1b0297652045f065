"""Random workflows come to what plain Python comes to; ``python -m tests.fuzz`` tries more of them."""

from __future__ import annotations

import pytest

from tests.fuzz.trials import by_real_workers, by_simulated_workers


@pytest.mark.parametrize("first", range(0, 1000, 100))
def test_random_workflows_with_simulated_workers(first: int) -> None:
    for seed in range(first, first + 100):
        by_simulated_workers(seed, size=7)


@pytest.mark.parametrize("first", range(0, 300, 50))
def test_random_workflows_with_threads(first: int) -> None:
    for seed in range(first, first + 50):
        by_real_workers(seed, size=6)
