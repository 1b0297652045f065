"""Our workers in the hands of others: joblib and scikit-learn, asyncio, Dask."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import pytest

from cotality.parallel import ProcessExecutor, ThreadExecutor
from tests.clusters.local import MISSING
from tests.contract.functions import double, fail_if_odd

joblib = pytest.importorskip("joblib", reason=f"joblib {MISSING}")

import cotality.parallel.joblib  # noqa: E402


def where_and_mine(values: Any, number: int) -> tuple[int, bool, float]:
    # Long enough that both workers get some.
    time.sleep(0.02)
    return os.getpid(), values.flags.owndata, float(values[number])


@pytest.mark.parametrize("workers", ["processes", "threads"])
def test_joblib_runs_on_our_workers(workers: str) -> None:
    with joblib.parallel_config(backend="cotality", n_jobs=2, workers=workers):
        assert joblib.Parallel()(joblib.delayed(double)(n) for n in range(500)) == [2 * n for n in range(500)]
        pids = set(joblib.Parallel()(joblib.delayed(slow_pid)() for _ in range(8)))
        assert (os.getpid() in pids) == (workers == "threads")


def slow_pid() -> int:
    time.sleep(0.05)
    return os.getpid()


def test_an_error_is_raised_and_the_next_call_works() -> None:
    with joblib.parallel_config(backend="cotality", n_jobs=2):
        with pytest.raises(ValueError, match=r"^\d+$"):
            joblib.Parallel()(joblib.delayed(fail_if_odd)(n) for n in range(100))
        assert joblib.Parallel()(joblib.delayed(double)(n) for n in range(3)) == [0, 2, 4]


def test_a_large_array_exists_once() -> None:
    np = pytest.importorskip("numpy")
    values = np.arange(1_000_000.0)
    with joblib.parallel_config(backend="cotality", n_jobs=2):
        found = joblib.Parallel()(joblib.delayed(where_and_mine)(values, n) for n in range(10))
    assert [number for _, _, number in found] == list(range(10))
    assert not any(mine for _, mine, _ in found)


def outer(number: int) -> list[int]:
    return joblib.Parallel(n_jobs=2)(joblib.delayed(double)(number + n) for n in range(3))  # type: ignore[no-any-return]


def test_nested_calls_and_what_numbers_of_jobs_mean() -> None:
    with joblib.parallel_config(backend="cotality", n_jobs=-1):
        assert joblib.Parallel(n_jobs=2)(joblib.delayed(outer)(n) for n in range(3)) == [
            [2 * n, 2 * n + 2, 2 * n + 4] for n in range(3)
        ]
    backend = cotality.parallel.joblib.CotalityBackend()
    assert backend.effective_n_jobs(None) == 1
    assert backend.effective_n_jobs(-1) >= 1
    with pytest.raises(ValueError, match="n_jobs"):
        backend.effective_n_jobs(0)
    with pytest.raises(ValueError, match="workers must be"):
        cotality.parallel.joblib.CotalityBackend("nothing")


def test_a_grid_search_gives_what_it_gives_with_loky() -> None:
    pytest.importorskip("sklearn", reason=f"scikit-learn {MISSING}")
    import numpy as np
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, cross_val_score

    X, y = load_iris(return_X_y=True)

    def search(backend: str) -> Any:
        with joblib.parallel_config(backend=backend, n_jobs=2):
            grid = GridSearchCV(LogisticRegression(max_iter=500), {"C": [0.1, 1.0, 10.0]}, cv=2)
            # Nested: the folds of the outer one each make a search of their own.
            nested = cross_val_score(grid, X, y, cv=2)
            return grid.fit(X, y), nested

    (ours, our_scores), (theirs, their_scores) = search("cotality"), search("loky")
    assert ours.best_params_ == theirs.best_params_
    assert np.array_equal(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"])
    assert np.array_equal(ours.best_estimator_.coef_, theirs.best_estimator_.coef_)
    assert np.array_equal(our_scores, their_scores)


@pytest.mark.parametrize("kind", [ThreadExecutor, ProcessExecutor])
def test_asyncio_awaits_what_our_executors_run(kind: Any) -> None:
    async def both() -> list[int]:
        loop = asyncio.get_running_loop()
        return list(await asyncio.gather(*(loop.run_in_executor(executor, double, n) for n in range(50))))

    with kind(2) as executor:
        assert asyncio.run(both()) == [2 * n for n in range(50)]


@pytest.mark.parametrize("kind", [ThreadExecutor, ProcessExecutor])
def test_dask_computes_on_our_executors(kind: Any) -> None:
    dask = pytest.importorskip("dask", reason=f"dask {MISSING}")
    with kind(2) as executor, dask.config.set(scheduler=executor):
        parts = [dask.delayed(double)(n) for n in range(20)]
        assert dask.delayed(sum)(parts).compute() == sum(2 * n for n in range(20))
