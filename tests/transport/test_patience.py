"""An adaptive playout delay waits for descriptions of what was lost, where nothing better comes, and not for ever."""

from types import SimpleNamespace

import numpy as np
import pytest

from transport.streams import speech
from vivavoce.transport.call import CallSettings, simulate_call
from vivavoce.transport.jitter_buffer import Payload
from vivavoce.transport.loss import Bernoulli
from vivavoce.transport.patience import PATIENCE_TICKS, Patience
from vivavoce.transport.playout_clock import PlayoutClock
from vivavoce.transport.protection import Protection

TICKS = 960


@pytest.fixture
def clock():
    clock = PlayoutClock(None)
    clock.noted = []
    clock.usable = lambda time, arrival: clock.noted.append((time // TICKS, round(arrival / 0.02)))
    return clock


def listen(clock, sent, reach):
    """Let primaries arrive, (sequence number, slot); those of `reach` describe so many slots before themselves."""

    def said_by(payload):
        slots = reach.get(payload.timestamp // TICKS)
        return slots and SimpleNamespace(begin=payload.timestamp - slots * TICKS, end=payload.timestamp + 720)

    patience = Patience(clock, said_by)
    for sequence, slot in sent:
        patience.arrived(Payload(slot * TICKS, TICKS, b"..", "primary", (slot + 1) * 0.02), sequence)
    return patience


def on_time(*slots):
    return [(slot, slot) for slot in slots]


@pytest.mark.parametrize(
    ("sent", "reach", "noted"),
    [
        pytest.param(on_time(*range(60)), dict.fromkeys(range(60), 20), [], id="nothing was lost"),
        pytest.param(on_time(0, 1, *range(4, 60)), {}, [], id="nobody describes it"),
        pytest.param(on_time(0, 1, *range(4, 60)), {7: 20, 9: 20}, [(2, 8), (3, 8)], id="the first that does counts"),
        pytest.param(on_time(0, 1, *range(4, 60)), {4: 1, 9: 20}, [(3, 5), (2, 10)], id="each for itself"),
        pytest.param(
            on_time(0, 1, *range(40, 90)), {40: 50}, [(n, 41) for n in range(20, 40)], id="not what is long ago"
        ),
        pytest.param(on_time(0, 1, 3, 4, 2, *range(5, 60)), {3: 5}, [], id="it was overtaken"),
        pytest.param([(1, 1), *((n - 30, n) for n in range(32, 90))], {32: 50}, [], id="a pause"),
        pytest.param([(1, 1), *((n - 20, n) for n in range(32, 90))], {32: 50}, [], id="a pause, and losses in it"),
    ],
)
def test_what_was_lost_is_usable_with_the_packet_that_describes_it(clock, sent, reach, noted):
    listen(clock, sent, reach)
    assert sorted(clock.noted) == sorted(noted)


def test_another_sequence_begins_anew(clock):
    patience = listen(clock, on_time(*range(100, 110)), {})
    patience.begin()
    for slot in (*range(200, 210), *range(212, 280)):
        patience.arrived(Payload(slot * TICKS, TICKS, b"..", "primary", 0.0), slot - 200)
    assert clock.noted == []
    assert patience._lost == {}


@pytest.mark.parametrize("back", [False, True])
def test_little_is_remembered_whatever_arrives(clock, back):
    """Not either where a forged clock goes on with losses, and is then set back to other times, again and again."""
    rng = np.random.default_rng(0)
    patience, sequence, time = Patience(clock, lambda payload: None), 0, 0
    for number in range(3000):
        missing = int(rng.integers(0, 3000))
        sequence += 1 + missing
        time += (1 + missing) * 120 if not back or number % 3 else -int(rng.integers(1, 1_440_000))
        patience.arrived(Payload(time, 120, b"..", "primary", 0.0), sequence)
        assert len(patience._lost) <= PATIENCE_TICKS // 120


def call(protect, loss, delay_ms=None):
    settings = CallSettings(
        loss=loss,
        bitrate_bps=40_000,
        protection=Protection.parse(protect),
        conceal="neural",
        playout_delay_ms=delay_ms,
        jitter_ms=5,
        seed=1,
    )
    return simulate_call(np.tile(speech(5.0), 2), settings)


def test_an_adaptive_delay_waits_for_descriptions_that_are_needed():
    needed = call("dred", Bernoulli(0.1))
    assert 80 < needed.playout_delay_ms < 300
    assert needed.slots["dred"] > needed.slots["plc"]
    assert call("dred", None).playout_delay_ms < 70  # nothing is lost
    assert call("none", Bernoulli(0.1)).playout_delay_ms < 70  # nobody describes it
