"""What a slot is played from, of what is in the buffer."""

from vivavoce.transport.choice import MIDDLE, Chooser
from vivavoce.transport.jitter_buffer import MAX_PAYLOADS, JitterBuffer, Payload

TICKS = 120  # of a packet of 2.5 ms


def chooser(*timestamps):
    buffer = JitterBuffer()
    for sequence, timestamp in enumerate(timestamps):
        buffer.insert(Payload(timestamp, TICKS, b"\x80" + bytes(9), "primary", 0.0, sequence))
    return Chooser(buffer, None)


def test_what_came_in_the_middle_is_played_from_there():
    choice = chooser(0).choose(0)
    assert (choice.timestamp, choice.ticks, choice.source, choice.reason) == (0, TICKS, "primary", "in time")
    assert chooser(0).choose(-240)[:3] == (-240, 240, "plc")


def test_a_remnant_that_is_too_short_is_skipped():
    assert chooser(0, 121).choose(1)[:4] == (121, TICKS, "primary", "in time")
    assert chooser(100).choose(0)[:3] == (100, TICKS, "primary")
    assert chooser(0).choose(60)[:3] == (120, 960, "plc")


def test_a_rest_is_decoded():
    buffer = JitterBuffer()
    buffer.insert(Payload(0, 960, b"\x48" + bytes(20), "primary", 0.0, 0))
    assert Chooser(buffer, None).choose(480)[:4] == (480, 480, "primary", MIDDLE)


def test_remnants_without_end_do_no_harm():
    """Packets that overlap by one tick each: no position leaves as much as can be decoded."""
    choice = chooser(*range(-1, 119 * MAX_PAYLOADS - 1, 119)).choose(0)
    assert (choice.timestamp, choice.source) == (119 * MAX_PAYLOADS, "plc")
