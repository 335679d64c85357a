"""Mutate valid payloads of deep redundancy by the million, and let the core read them.

    python fuzz/mutate_dred.py [--count 10000000] [--jobs 2]

Each gets the check that it should have, so that the decoder behind it is reached. Nothing but `ValueError` may be
raised, what is decoded must be finite, and no payload may cost more than a limit. `fuzz_parsers.py` is led by what the
reference does; this is blind, but many.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import seeds

from vivavoce._core import DredReader
from vivavoce.models import find_model, load_model
from vivavoce.redundancy.dred import MODEL
from vivavoce.redundancy.payload import with_check

LIMIT_S = 0.005  # of CPU; all chunks of a payload take a tenth of it
ALL_CHUNKS_ONE_IN = 32  # decode more than the newest chunk
ATTEMPTS = 5  # the quickest counts: another process may have had the core
MOST_CHANGES = 6


def mutated(chance: random.Random, valid: list[bytes]) -> bytes:
    """A payload with some bytes or bits changed, cut, grown, or continued by another one's."""
    data = bytearray(chance.choice(valid))
    for _ in range(chance.randint(1, MOST_CHANGES)):
        place = chance.randrange(2, len(data)) if len(data) > 2 else 0
        kind = chance.randrange(8)
        if kind < 3:
            data[place] = chance.randrange(256)
        elif kind < 6:
            data[place] ^= 1 << chance.randrange(8)
        elif kind == 6:
            del data[place + 1 :]
        else:
            data[place:] = chance.choice(valid)[place:] + chance.randbytes(chance.randrange(4))
    return with_check(bytes(data))


def work(seed: int, count: int) -> tuple[int, float]:
    """How many of so many were read, and the CPU time of the slowest."""
    chance, valid, model = random.Random(seed), seeds.dred(), load_model(find_model(MODEL)).core
    accepted, slowest = 0, 0.0

    def read(data: bytes, whole: bool) -> bool:
        try:
            reader = DredReader(model, data)
        except ValueError:
            return False
        if not np.isfinite(reader.features(reader.chunks - 1 if whole else 0)).all():
            raise RuntimeError(f"features that are not finite: {data.hex()}")
        return True

    def timed(data: bytes, whole: bool) -> float:
        start = time.thread_time()
        read(data, whole)
        return time.thread_time() - start

    for number in range(count):
        data, whole = mutated(chance, valid), number % ALL_CHUNKS_ONE_IN == 0
        start = time.thread_time()
        accepted += read(data, whole)
        took = time.thread_time() - start
        if took > slowest:
            slowest = max(slowest, min(took, *(timed(data, whole) for _ in range(ATTEMPTS))))
            if slowest > LIMIT_S:
                raise RuntimeError(f"{1000 * slowest:.1f} ms of CPU: {data.hex()}")
    return accepted, slowest


def main() -> int:
    """Read the command line and run; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000_000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    begin, share = time.monotonic(), -(-arguments.count // arguments.jobs)
    with ProcessPoolExecutor(arguments.jobs) as pool:
        results = list(pool.map(work, range(arguments.jobs), [share] * arguments.jobs))
    accepted, slowest = sum(result[0] for result in results), max(result[1] for result in results)
    total = share * arguments.jobs
    print(
        f"{total} payloads, {100 * accepted / total:.1f} % of them read, the slowest in {1e6 * slowest:.0f} us, "
        f"{time.monotonic() - begin:.0f} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
