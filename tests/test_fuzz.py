"""A short run of every fuzz target; `make fuzz` runs them for minutes."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

HARNESS = Path(__file__).parents[1] / "fuzz" / "fuzz_parsers.py"
TARGETS = ["rtp", "rtcp", "red", "sdp", "opus_packet", "opus_extensions", "dred", "receiver"]
# The versions for which the dev extra brings atheris.
EXPECTED = bool(os.environ.get("CI")) and sys.platform == "linux" and sys.version_info < (3, 14)

if find_spec("atheris") is None and not EXPECTED:
    pytest.skip("atheris is not installed", allow_module_level=True)


def fuzz(target, *options):
    command = [sys.executable, str(HARNESS), target, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("target", TARGETS)
def test_a_few_seconds_of_fuzzing_find_nothing(target):
    result = fuzz(target, "--minutes", "0.05")
    assert result.returncode == 0, result.stdout + result.stderr
    assert " edges, " in result.stdout


def test_mutated_descriptions_are_read_or_refused():
    command = [sys.executable, str(HARNESS.with_name("mutate_dred.py")), "--count", "5000", "--jobs", "1"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("5000 payloads, ")


def test_a_faulty_parser_is_found_and_its_input_kept():
    result = fuzz("canary", "--minutes", "0.2")
    assert result.returncode == 1
    assert "IndexError" in result.stdout
    (line,) = [line for line in result.stdout.splitlines() if "--replay" in line]
    reproducer = Path(line.rpartition("--replay ")[2])
    try:
        again = fuzz("canary", "--replay", str(reproducer))
        assert again.returncode != 0
        assert "IndexError" in again.stderr
    finally:
        reproducer.unlink()
