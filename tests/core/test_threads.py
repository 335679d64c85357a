"""The core under threads, fork and spawn: one result, whoever asks, and however many at once."""

import multiprocessing
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from vivavoce._core import RealFft, tanh

SIZE = 960
FFT = RealFft(SIZE)  # made before any fork


def noise(seed):
    return np.random.default_rng(seed).uniform(-1, 1, SIZE).astype(np.float32)


def work(seed, fft):
    """A checksum of the bits of some hundred transforms there and back."""
    samples = noise(seed)
    for _ in range(200):
        samples = tanh(fft.inverse(fft.forward(samples)))
    return samples.tobytes()


def work_with_own(seed):
    return work(seed, RealFft(SIZE))


def work_with_shared(seed):
    return work(seed, FFT)


@pytest.mark.parametrize("worker", [work_with_own, work_with_shared])
def test_threads_get_what_one_thread_gets(worker):
    alone = [worker(seed) for seed in range(16)]
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(worker, range(16))) == alone


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
@pytest.mark.parametrize("worker", [work_with_own, work_with_shared])
def test_children_get_what_the_parent_gets(method, worker):
    if method != "spawn" and sys.platform == "darwin":
        pytest.skip("macOS frameworks do not survive fork")
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(worker, range(4)) == [worker(seed) for seed in range(4)]


@pytest.mark.skipif(sys.platform != "linux", reason="fork is no start method here, or unsafe for other reasons")
def test_a_fork_while_threads_transform_is_safe():
    with ThreadPoolExecutor(4) as threads:
        pending = [threads.submit(work_with_shared, seed) for seed in range(40)]
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map(work_with_shared, range(4)) == [work_with_shared(seed) for seed in range(4)]
        assert len({future.result() for future in pending}) == 40
