import os
import signal
import subprocess
import sys
import time

import pytest

from vivavoce.errors import VivavoceError
from vivavoce.evaluation.workers import workers

SLEEPERS = """
import time
from vivavoce.evaluation.workers import workers
if __name__ == "__main__":
    with workers(2) as work:
        print(*work(eval, ["__import__('os').getpid()"] * 2), flush=True)
        list(work(time.sleep, [3, 3]))
"""


@pytest.mark.parametrize("jobs", [pytest.param(1, id="in this process"), pytest.param(2, id="two processes")])
def test_every_task_is_done_once(jobs):
    with workers(jobs) as work:
        assert sorted(work(abs, range(-20, 0))) == list(range(1, 21))
        assert sorted(work(str, [1, 2])) == ["1", "2"]
        assert list(work(abs, [])) == []


def test_an_error_comes_back_and_the_next_tasks_get_their_own_answers():
    with workers(2) as work:
        with pytest.raises(ValueError, match="invalid literal"):
            list(work(int, ["1", "one", "2", "3"]))
        assert sorted(work(int, ["4", "5", "6"])) == [4, 5, 6]
        with pytest.raises(VivavoceError, match="TypeError: "):
            list(work(len, [3]))


@pytest.mark.parametrize("size", [pytest.param(0, id="small task"), pytest.param(8_000_000, id="large task")])
def test_a_worker_that_dies_is_a_clear_error(size):
    code = f"__import__('os')._exit(3) #{'x' * size}"
    with pytest.raises(VivavoceError, match="a worker process died"), workers(2) as work:
        list(work(eval, [code] * 4))


def test_workers_use_one_thread_each_and_leave_the_environment_alone(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with workers(2) as work:
        assert list(work(eval, ["__import__('os').environ['OMP_NUM_THREADS']"])) == ["1"]
    assert "OMP_NUM_THREADS" not in os.environ


def test_no_workers_are_refused():
    with pytest.raises(ValueError, match="jobs must be at least 1"), workers(0):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
@pytest.mark.parametrize(
    ("number", "wait_s"),
    [
        pytest.param(signal.SIGINT, 10.0, id="interrupted"),
        pytest.param(signal.SIGKILL, 10.0, id="killed"),
    ],
)
def test_no_process_stays_behind(tmp_path, number, wait_s):
    program = tmp_path / "sleepers.py"
    program.write_text(SLEEPERS)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    process = subprocess.Popen(
        [sys.executable, program], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    children = [int(word) for word in process.stdout.readline().split()]
    process.send_signal(number)
    process.communicate(timeout=wait_s)
    end = time.monotonic() + wait_s
    while any(map(_alive, children)):
        assert time.monotonic() < end
        time.sleep(0.02)


def _alive(process_id):
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return not _is_zombie(process_id)


def _is_zombie(process_id):
    try:
        with open(f"/proc/{process_id}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False
