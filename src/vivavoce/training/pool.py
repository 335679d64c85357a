"""Items made by worker processes while the network trains.

Each is used once, or, where workers are slower than the network, some times ("data echoing": D. Choi et al., "Faster
neural network training with data echoing", arXiv 1907.05550). Small windows are then learned by heart: with each item
used four times out of 768, PercepNet's loss was 0.92 on the items of the window, 1.18 on new ones, and that of `val`
stood still; with each used once it fell again at once.

Which items a step sees depends on the seed and the step alone, never on how fast the workers are: batch `step` is drawn
from a window of items that moves on by `batch / echo` items a step, and waits until the workers have made them.
"""

from __future__ import annotations

import multiprocessing
import time
import traceback
from collections.abc import Callable, Mapping
from multiprocessing.shared_memory import SharedMemory
from multiprocessing.sharedctypes import Synchronized
from queue import Empty
from typing import Any

import numpy as np

Item = Mapping[str, np.ndarray]
POLL_S = 0.01
RUN_AHEAD = 1.25  # slots beyond the window, so that workers need not wait for each step


class ItemPool:
    """Batches for any step, from items that workers make.

    Use it as a context manager: workers end with it.
    """

    def __init__(
        self,
        make_item: Callable[[int], Item],
        *,
        batch: int,
        window: int,
        echo: int,
        seed: int,
        workers: int = 1,
        first_step: int = 0,
    ) -> None:
        """Start the workers.

        Args:
            make_item: From an item's index; always the same names, shapes and types. It is called in the workers.
            batch: Items of a batch.
            window: Items that a batch is drawn from; at least `batch`.
            echo: How often an item is used on average.
            seed: Of the draws.
            workers: Processes; 0 makes the items in this one, when they are needed.
            first_step: The step that will be asked for first.

        Raises:
            ValueError: A number is out of range.
        """
        if batch < 1 or window < batch or echo < 1 or workers < 0:
            raise ValueError(f"no pool: batch {batch}, window {window}, echo {echo}, workers {workers}")
        self._make_item, self._batch, self._window, self._echo, self._seed = make_item, batch, window, echo, seed
        self._capacity = int(window * RUN_AHEAD) + batch
        self._made = self._first(first_step)
        example = make_item(self._made)
        size = sum(array.nbytes for array in example.values())
        self._memory = SharedMemory(create=True, size=max(1, size * self._capacity))
        self._slots = _slots(self._memory, example, self._capacity)
        self._workers = []
        if workers:
            context = multiprocessing.get_context("fork")  # the corpora are mapped already
            self._needed = context.Value("q", self._made)
            self._queue: Any = context.Queue()
            for rank in range(workers):
                arguments = (make_item, self._slots, self._made + rank, workers, self._needed, self._queue)
                self._workers.append(context.Process(target=_work, args=arguments, daemon=True))
                self._workers[-1].start()
        self._finished: set[int] = set()

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """The batch of a step; steps must not go back.

        Returns:
            The items' arrays, stacked: shape (batch, ...).

        Raises:
            RuntimeError: A worker failed; the message holds its traceback.
        """
        first = self._first(step)
        self._wait_until_made(first + self._window)
        draws = np.random.default_rng([self._seed, step])
        chosen = first + draws.choice(self._window, self._batch, replace=False)
        return {name: slots[chosen % self._capacity] for name, slots in self._slots.items()}

    def close(self) -> None:
        """End the workers and free the memory."""
        for worker in self._workers:
            worker.kill()  # it has nothing to lose, and a caught SIGTERM may be swallowed while it starts
            worker.join()
        self._workers = []
        self._slots = {}
        self._memory.close()
        self._memory.unlink()

    def __enter__(self) -> ItemPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _first(self, step: int) -> int:
        """First item of the step's window."""
        return step * self._batch // self._echo

    def _wait_until_made(self, end: int) -> None:
        if not self._workers:
            for index in range(self._made, end):
                _fill(self._slots, index, self._make_item(index))
            self._made = max(self._made, end)
            return
        # What is older than this window may be overwritten from now on.
        self._needed.value = end - self._window
        while self._made < end:
            try:
                index, error = self._queue.get(timeout=1)
            except Empty:
                if not all(worker.is_alive() for worker in self._workers):
                    raise RuntimeError("a worker that makes training items has died") from None
                continue
            if error:
                raise RuntimeError(f"item {index} could not be made:\n{error}")
            self._finished.add(index)
            while self._made in self._finished:
                self._finished.remove(self._made)
                self._made += 1


def _slots(memory: SharedMemory, example: Item, capacity: int) -> dict[str, np.ndarray]:
    slots, offset = {}, 0
    for name, array in sorted(example.items(), key=lambda item: -item[1].dtype.itemsize):  # aligned without gaps
        slots[name] = np.ndarray((capacity, *array.shape), array.dtype, memory.buf, offset)
        offset += capacity * array.nbytes
    return slots


def _fill(slots: dict[str, np.ndarray], index: int, item: Item) -> None:
    for name, array in slots.items():
        array[index % len(array)] = item[name]


def _work(
    make_item: Callable[[int], Item],
    slots: dict[str, np.ndarray],
    index: int,
    stride: int,
    needed: Synchronized,
    queue: Any,
) -> None:
    """Make every `stride`-th item, as far ahead as there are slots."""
    capacity = len(next(iter(slots.values())))
    try:
        while True:
            while index >= needed.value + capacity:
                time.sleep(POLL_S)
            _fill(slots, index, make_item(index))
            queue.put((index, None))
            index += stride
    except KeyboardInterrupt:
        pass
    except BaseException:  # whatever it was, the training must hear of it
        queue.put((index, traceback.format_exc()))
