"""The core under threads, fork and spawn: one result, whoever asks, and however many at once."""

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from core_workers import work_with_own, work_with_shared

TIMEOUT_S = 60  # a deadlock shall be a failure


def children(method):
    # An executor, not a Pool: it reports a child that dies, where a Pool waits for ever.
    return ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method))


@pytest.mark.parametrize("worker", [work_with_own, work_with_shared])
def test_threads_get_what_one_thread_gets(worker):
    alone = [worker(seed) for seed in range(16)]
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(worker, range(16))) == alone


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
@pytest.mark.parametrize("worker", [work_with_own, work_with_shared])
def test_children_get_what_the_parent_gets(method, worker):
    if method == "fork" and sys.platform == "darwin":
        pytest.skip("frameworks of macOS do not survive a fork")
    with children(method) as pool:
        assert list(pool.map(worker, range(4), timeout=TIMEOUT_S)) == [worker(seed) for seed in range(4)]


@pytest.mark.skipif(sys.platform != "linux", reason="no fork here, or an unsafe one for other reasons")
def test_a_fork_while_threads_transform_is_safe():
    with ThreadPoolExecutor(4) as threads:
        pending = [threads.submit(work_with_shared, seed) for seed in range(40)]
        with children("fork") as pool:
            expected = [work_with_shared(seed) for seed in range(4)]
            assert list(pool.map(work_with_shared, range(4), timeout=TIMEOUT_S)) == expected
        assert len({future.result() for future in pending}) == 40
