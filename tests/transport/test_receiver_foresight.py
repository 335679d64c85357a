"""What the receiver tells a concealer of packets that are here before their time."""

import numpy as np
import pytest

from transport.streams import on_time, packets, play
from vivavoce.codec.opus import OpusDecoder
from vivavoce.concealment.concealer import OpusConcealment
from vivavoce.transport.receiver import Receiver
from vivavoce.transport.rtp import RtpPacket

RATE = 16_000
SLOT = 320


class Foreseeing(OpusConcealment):
    """Opus's own concealment, that notes what it is told."""

    foresees = True

    def __init__(self):
        self.told = []

    def foresee(self, samples, gap):
        self.told.append((samples, gap))


@pytest.mark.parametrize(
    ("delay_ms", "concealed", "known"), [pytest.param(200, 0, 3, id="long"), pytest.param(60, 3, 1, id="short")]
)
def test_what_is_behind_a_gap_is_told_once_and_changes_no_state(delay_ms, concealed, known):
    """A gap of 5 packets: with a delay of 60 ms the packet behind it comes while the gap is played."""
    arrivals = on_time(packets(bitrate_bps=48_000), tuple(range(60, 65)))
    concealer = Foreseeing()
    foreseeing = play(Receiver(RATE, playout_delay_ms=delay_ms, conceal=concealer), arrivals, 3.1)
    blind = play(Receiver(RATE, playout_delay_ms=delay_ms), arrivals, 3.1)
    assert (foreseeing == blind).all()
    ((samples, gap),) = concealer.told
    assert gap == 5 * SLOT
    decoder, payloads = OpusDecoder(RATE), [RtpPacket.parse(datagram).payload for _, datagram in arrivals]
    for payload in payloads[:60]:
        decoder.decode(payload)
    for _ in range(concealed):
        decoder.conceal(SLOT)
    heard = [decoder.decode(payload) for payload in payloads[60 : 60 + known]]
    np.testing.assert_array_equal(samples, np.concatenate(heard))


def test_what_is_more_than_a_second_behind_a_gap_tells_nothing():
    concealer = Foreseeing()
    receiver = Receiver(RATE, playout_delay_ms=1_500, conceal=concealer)
    play(receiver, on_time(packets(), tuple(range(40, 100))), 3.1)
    assert receiver.stats.slots["plc"] > 0
    assert not concealer.told
