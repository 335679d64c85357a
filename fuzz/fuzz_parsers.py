"""Fuzz the parsers of network bytes, guided by coverage (atheris, libFuzzer).

    python fuzz/fuzz_parsers.py all --minutes 10       every target in its own process, the time shared out
    python fuzz/fuzz_parsers.py red --minutes 1        one target
    python fuzz/fuzz_parsers.py red --replay FILE      one input once more

The exit status is 1 where something was found; the last lines say where the reproducer lies. `targets.py` says what is
checked, `seeds.py` makes the inputs to begin from.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import seeds
from targets import HIDDEN, TARGETS

MAX_INPUT_BYTES = 4096  # short inputs mutate well; targets.py grows some of them to a whole datagram
MEMORY_LIMIT_MB = 1024  # of the process: what leaks, adds up over millions of inputs
INPUT_TIMEOUT_S = 10


def fuzz(target: str, folder: Path, seconds: int) -> None:
    """Fuzz one target in this process; libFuzzer ends it."""
    import atheris

    with atheris.instrument_imports(include=["vivavoce"]):
        check = {**TARGETS, **HIDDEN}[target]()
        inputs = getattr(seeds, target)()
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(inputs):
        (corpus / f"seed-{number}").write_bytes(data)
    options = {
        "max_total_time": seconds,
        "max_len": MAX_INPUT_BYTES,
        "rss_limit_mb": MEMORY_LIMIT_MB,
        "timeout": INPUT_TIMEOUT_S,
        "artifact_prefix": f"{folder}{os.sep}",
        "print_final_stats": 1,
    }
    atheris.Setup([sys.argv[0], *(f"-{name}={value}" for name, value in options.items()), str(corpus)], check)
    atheris.Fuzz()


def supervise(target: str, seconds: int, keep: Path) -> bool:
    """Fuzz one target in a process of its own, and say in a line or two how it went.

    Returns:
        Whether nothing was found.
    """
    folder = keep / target
    folder.mkdir(parents=True)
    command = [sys.executable, __file__, target, "--seconds", str(seconds), "--folder", str(folder), "--here"]
    log = folder / "log.txt"
    with log.open("wb") as output:
        status = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False).returncode
    text = log.read_text(errors="replace")
    print(f"{target:16} {_summary(text)}", flush=True)
    if status == 0:
        return True
    tail = "\n    ".join(text.splitlines()[-30:])
    print(f"    {tail}\n{target}: exit status {status}; the log is {log}")
    for reproducer in sorted(folder.glob("*-*")):
        print(f"{target}: reproduce with: python {__file__} {target} --replay {reproducer}")
    return False


def _summary(log: str) -> str:
    runs = re.findall(r"stat::number_of_executed_units:\s*(\d+)", log)
    rate = re.findall(r"stat::average_exec_per_sec:\s*(\d+)", log)
    coverage = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", log)
    if not (runs and rate and coverage):
        return "ended early"
    edges, features, inputs = coverage[-1]
    return f"{runs[-1]} inputs, {rate[-1]}/s, {edges} edges, {features} features, corpus {inputs}"


def main() -> int:
    """Read the command line and run; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=["all", *TARGETS, *HIDDEN])
    parser.add_argument("--minutes", type=float, default=1.0, help="altogether")
    parser.add_argument("--replay", type=Path, help="run this one input, without atheris")
    parser.add_argument("--seconds", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    names = list(TARGETS) if arguments.target == "all" else [arguments.target]
    if arguments.replay is not None:
        if len(names) > 1:
            parser.error("--replay needs one target")
        {**TARGETS, **HIDDEN}[names[0]]()(arguments.replay.read_bytes())
        return 0
    if arguments.here:
        fuzz(names[0], arguments.folder, arguments.seconds)
        return 0
    keep = Path(tempfile.mkdtemp(prefix="vivavoce-fuzz-"))
    seconds = max(1, round(60 * arguments.minutes / len(names)))
    clean = True
    for name in names:
        clean = supervise(name, seconds, keep) and clean
    if clean:
        shutil.rmtree(keep)
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
