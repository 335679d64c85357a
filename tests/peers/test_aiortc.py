"""aiortc's own Opus packets, some of them lost, in our receiver on a virtual clock."""

from fractions import Fraction

import numpy as np
import pytest
import soxr

from transport.streams import play
from vivavoce.transport.receiver import Receiver

REPEATS = 5  # of the six seconds: enough packets for a share to mean something
DELAY_MS = 60
PAYLOAD_TYPE = 96  # aiortc's own, where the peer offers none
SPOKEN_DB, SOUND_DB = -50, -60  # full scale 0: a slot that is spoken in, and what may be left of it

SLOT = 960


@pytest.fixture(scope="module")
def stream(peer, speech_16k):
    """(arrival time, datagram): 48 kHz, stereo, 96 kb/s, as aiortc encodes and serialises; numbers wrap early."""
    av, opus, rtp = peer.module("av"), peer.module("aiortc.codecs.opus"), peer.module("aiortc.rtp")
    speech = np.tile(soxr.resample(speech_16k, 16_000, 48_000), REPEATS)
    pcm = np.clip(32_767 * speech, -32_768, 32_767).astype(np.int16)
    encoder, packets = opus.OpusEncoder(), []
    for at in range(0, len(pcm) - SLOT + 1, SLOT):
        frame = av.AudioFrame.from_ndarray(np.repeat(pcm[at : at + SLOT], 2)[None], format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, at, Fraction(1, 48_000)
        payloads, timestamp = encoder.encode(frame)
        for payload in payloads:
            packet = rtp.RtpPacket(
                payload_type=PAYLOAD_TYPE,
                sequence_number=(65_000 + len(packets)) & 0xFFFF,
                timestamp=(timestamp + 2**32 - 48_000) & 0xFFFF_FFFF,
                ssrc=1234,
            )
            packet.payload = payload
            packets.append(((at + SLOT) / 48_000, packet.serialize()))
    return packets


def levels_db(stream):
    """Level of each 20-ms slot that the receiver plays, and the receiver."""
    receiver = Receiver(48_000, playout_delay_ms=DELAY_MS, payload_types={PAYLOAD_TYPE: "opus"})
    played = play(receiver, stream, until=stream[-1][0] + 0.1)
    slots = played[DELAY_MS * 48 :][: len(played) // SLOT * SLOT - 4 * SLOT].reshape(-1, SLOT)
    return 10 * np.log10(np.square(slots).mean(axis=1) + 1e-12), receiver


@pytest.mark.parametrize("seed", range(3))
def test_with_five_per_cent_lost_at_least_99_per_cent_of_the_slots_carry_sound(stream, seed):
    random = np.random.default_rng(seed)
    whole, _ = levels_db(stream)
    kept = [stream[0], *(packet for packet in stream[1:] if random.random() >= 0.05)]
    heard, receiver = levels_db(kept)
    lost = len(stream) - len(kept)
    assert 0.03 < lost / len(stream) < 0.07
    assert receiver.stats.packets_received == len(kept)
    assert receiver.stats.slots["primary"] == len(kept)
    spoken = whole > SPOKEN_DB
    assert spoken.mean() > 0.6
    assert (heard > SOUND_DB)[spoken].mean() >= 0.99
