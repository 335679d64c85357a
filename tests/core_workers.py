"""What the processes of tests/core/test_threads.py run: children must import it by name, as no test module allows."""

import numpy as np

from vivavoce._core import RealFft, tanh

SIZE = 960
SHARED = RealFft(SIZE)  # made before any fork


def work(seed, fft):
    """The bits after some hundred transforms there and back."""
    samples = np.random.default_rng(seed).uniform(-1, 1, SIZE).astype(np.float32)
    for _ in range(200):
        samples = tanh(fft.inverse(fft.forward(samples)))
    return samples.tobytes()


def work_with_own(seed):
    return work(seed, RealFft(SIZE))


def work_with_shared(seed):
    return work(seed, SHARED)
