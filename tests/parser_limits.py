"""What every parser of network bytes must stand: damaged packets, and huge ones at a bounded cost."""

import gc
import time
import tracemalloc

from hypothesis import strategies as st

from vivavoce.errors import PacketError

CPU_LIMIT_S = 0.010  # a 64-KiB datagram, whatever is in it
PEAK_LIMIT_BYTES = 4_000_000  # no bomb: a small multiple of the datagram
KEPT_LIMIT_BYTES = 16_384  # caches of the interpreter warm up; nothing may grow with the number of packets


@st.composite
def mutations(draw, packet):
    """A valid packet with some bytes changed, and perhaps cut or lengthened."""
    data = bytearray(packet)
    for _ in range(draw(st.integers(0, 4))):
        if data:
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    cut = draw(st.integers(0, len(data)))
    return bytes(data[:cut] if draw(st.booleans()) else data) + draw(st.binary(max_size=6))


def attempt(parse, data, error=PacketError):
    try:
        parse(data)
    except error:
        pass


def assert_read_or_refused(parse, serialize, data, error=PacketError):
    """Nothing but the error escapes, and what was read is read again the same after it was written."""
    try:
        noun = parse(data)
    except error:
        return
    assert parse(serialize(noun)) == noun


def assert_cheap(parse, data, error=PacketError):
    """Parse takes under 10 ms of CPU at its best of seven, and keeps nothing once its result is gone."""
    times = []
    for _ in range(7):
        start = time.thread_time()
        attempt(parse, data, error)
        times.append(time.thread_time() - start)
    assert min(times) < CPU_LIMIT_S
    tracemalloc.start()
    try:
        attempt(parse, data, error)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(5):
            attempt(parse, data, error)
        gc.collect()
        kept, peak = tracemalloc.get_traced_memory()
        assert kept - before < KEPT_LIMIT_BYTES
        assert peak < PEAK_LIMIT_BYTES
    finally:
        tracemalloc.stop()
