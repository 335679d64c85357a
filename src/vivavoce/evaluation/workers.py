"""Work on all cores: one task per clip, results as they come.

Processes are spawned, which works the same on every platform and inherits no threads or locks. Libraries are told to
use one thread each before they are loaded, because clips are what runs in parallel. At most two tasks per process are
under way, so memory stays the same however many there are.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing.connection import wait as wait_for
from typing import Protocol, TypeVar

from vivavoce.errors import VivavoceError

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMBA_NUM_THREADS")


class Workers(Protocol):
    """Applies a function to tasks; results come in any order, errors as they happen."""

    def __call__(self, function: Callable[[_Task], _Result], tasks: Iterable[_Task]) -> Iterator[_Result]: ...


def available_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def workers(jobs: int) -> Iterator[Workers]:
    """Start processes, and end them when the block is left, whatever the reason.

    Args:
        jobs: How many; 1 works in this process.

    Yields:
        What applies a module-level function to tasks.

    Raises:
        ValueError: `jobs` is below 1.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    if jobs == 1:
        yield _one_by_one
        return
    with _one_thread_each():
        executor = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=_begin_worker)
        try:
            yield lambda function, tasks: _unordered(executor, function, tasks, 2 * jobs)
        except BrokenProcessPool:
            raise VivavoceError("a worker process died (out of memory?); fewer --jobs need less") from None
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


def _one_by_one(function: Callable[[_Task], _Result], tasks: Iterable[_Task]) -> Iterator[_Result]:
    return map(function, tasks)


def _unordered(
    executor: ProcessPoolExecutor, function: Callable[[_Task], _Result], tasks: Iterable[_Task], under_way: int
) -> Iterator[_Result]:
    remaining = iter(tasks)
    pending: set[Future[_Result]] = {executor.submit(function, task) for task in islice(remaining, under_way)}
    while pending:
        done, pending = wait(pending, return_when=FIRST_COMPLETED)
        for future in done:
            yield future.result()
        pending |= {executor.submit(function, task) for task in islice(remaining, under_way - len(pending))}


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let processes that are spawned inside the block inherit one thread for each numeric library."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _begin_worker() -> None:
    """Leave interruptions to the parent, and end with it even if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait_for([sentinel])
    os._exit(1)
