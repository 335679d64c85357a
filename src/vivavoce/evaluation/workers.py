"""Work on all cores: one task per clip, results as they come.

Processes are spawned, which works the same on every platform and inherits no threads or locks. Each has a pipe of its
own and one task at a time, so a process that dies is noticed at once, and an interrupted run ends at once: an executor
of the standard library may wait for ever when a process dies while a large task is on its way to it. Libraries are told
to use one thread each before they are loaded, because clips are what runs in parallel.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol, TypeVar

from vivavoce.errors import VivavoceError

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMBA_NUM_THREADS")
_END_S = 5.0  # how long a process may take to die once it is killed


class Workers(Protocol):
    """Applies a module-level function to tasks; results come in any order, errors as they happen.

    What a task raises comes back as `ValueError` where it is one, and as `VivavoceError` otherwise.
    """

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
        What applies a function to tasks.

    Raises:
        ValueError: `jobs` is below 1.
        VivavoceError: A process died.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    if jobs == 1:
        yield _one_by_one
        return
    context = multiprocessing.get_context("spawn")
    ours: list[Connection] = []
    processes = []
    try:
        with _one_thread_each(), _uninterrupted():
            for _ in range(jobs):
                here, there = context.Pipe()
                process = context.Process(target=_serve, args=(there,), daemon=True)
                process.start()
                processes.append(process)
                ours.append(here)
                there.close()  # or the end of the process would not end its pipe
        yield lambda function, tasks: _unordered(ours, function, tasks)
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.join(_END_S)
        for connection in ours:
            connection.close()


def _one_by_one(function: Callable[[_Task], _Result], tasks: Iterable[_Task]) -> Iterator[_Result]:
    return map(function, tasks)


def _unordered(
    connections: Sequence[Connection], function: Callable[[_Task], _Result], tasks: Iterable[_Task]
) -> Iterator[_Result]:
    remaining = iter(tasks)
    idle, busy = list(connections), set[Connection]()
    try:
        while True:
            for task in remaining:
                connection = idle.pop()
                connection.send((function, task))
                busy.add(connection)
                if not idle:
                    break
            if not busy:
                return
            for connection in wait(list(busy)):
                error, result = connection.recv()  # type: ignore[union-attr]
                busy.discard(connection)  # type: ignore[arg-type]
                idle.append(connection)  # type: ignore[arg-type]
                if error is not None:
                    raise error
                yield result
    except (EOFError, ConnectionError):
        raise VivavoceError("a worker process died (out of memory?); fewer --jobs need less") from None
    except Exception:
        for connection in busy:  # the next tasks must not get the answers to these
            connection.recv()
        raise


def _serve(connection: Connection) -> None:
    """Work in a process of its own until the pipe ends; interruptions are the parent's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
    try:
        while True:
            function, task = connection.recv()
            connection.send(_attempt(function, task))
    except (EOFError, ConnectionError):
        return


def _attempt(function: Callable[[Any], Any], task: Any) -> tuple[Exception | None, Any]:
    """Call the function; errors become ones that survive the way through a pipe."""
    try:
        return None, function(task)
    except ValueError as error:
        return ValueError(str(error)), None
    except VivavoceError as error:
        return VivavoceError(str(error)), None
    except Exception as error:
        return VivavoceError(f"{type(error).__name__}: {error}"), None


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Put interruptions off while processes start: one that starts halfway could not be ended."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # the first process would start it, and that unblocks the signals
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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
