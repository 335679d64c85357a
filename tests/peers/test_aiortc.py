"""aiortc's own Opus packets, some of them lost, in our receiver: made by its encoder, and taken from a call of its."""

import asyncio
import time
from fractions import Fraction

import numpy as np
import pytest
import soundfile
import soxr

from likeness import SAME_DB, band_distance_db
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


def call_of_two(peer, clip, drop, seconds):
    """Two peer connections on loopback: what arrived, as (time, datagram); packets sent; frames that aiortc played."""
    aiortc, media = peer.module("aiortc"), peer.module("aiortc.contrib.media")
    receiver_class = peer.module("aiortc.rtcrtpreceiver").RTCRtpReceiver
    random = np.random.default_rng(0)
    taken, sent, played = [], [], []
    handle = receiver_class._handle_rtp_packet

    async def handle_some(self, packet, arrival_time_ms):
        sent.append(packet.sequence_number)
        if random.random() >= drop:
            taken.append((time.monotonic(), packet.serialize()))
            await handle(self, packet, arrival_time_ms)

    async def play_track(track):
        try:
            while True:
                played.append(await track.recv())
        except aiortc.mediastreams.MediaStreamError:
            pass

    async def call():
        ends = [aiortc.RTCPeerConnection(aiortc.RTCConfiguration([])) for _ in range(2)]
        tasks = []
        ends[1].on("track", lambda track: tasks.append(asyncio.ensure_future(play_track(track))))
        ends[0].addTrack(media.MediaPlayer(str(clip)).audio)
        await ends[0].setLocalDescription(await ends[0].createOffer())
        await ends[1].setRemoteDescription(ends[0].localDescription)
        await ends[1].setLocalDescription(await ends[1].createAnswer())
        await ends[0].setRemoteDescription(ends[1].localDescription)
        await asyncio.sleep(seconds)
        for end in ends:
            await end.close()
        await asyncio.gather(*tasks)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(receiver_class, "_handle_rtp_packet", handle_some)
        patch.setattr(peer.module("aioice.ice"), "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])
        asyncio.run(call())
    return taken, len(sent), len(played)


def test_a_call_of_aiortc_with_itself_is_heard_through_our_receiver(peer, speech_16k, tmp_path):
    clip = tmp_path / "clip.wav"
    speech = speech_16k[:48_000]
    soundfile.write(clip, speech, 16_000)
    taken, sent, played_by_aiortc = call_of_two(peer, clip, drop=0.05, seconds=4.5)
    assert 0.9 * 150 <= sent <= 155  # it sends nothing while the connection comes about
    began = taken[0][0]
    arrivals = [(arrival - began, datagram) for arrival, datagram in taken]
    receiver = Receiver(48_000, playout_delay_ms=300, payload_types={arrivals[0][1][1] & 0x7F: "opus"})
    # the receiver's clock follows the fastest packet: a first one that was held up on a busy machine is not it
    stamps = [int.from_bytes(datagram[4:8], "big") for _, datagram in arrivals]
    ahead = max(
        ((stamp - stamps[0]) & 0xFFFF_FFFF) / 48_000 - at for stamp, (at, _) in zip(stamps, arrivals, strict=True)
    )
    played = play(receiver, arrivals, until=sent * 0.02 + 0.3 - ahead)
    slots = receiver.stats.slots
    assert played_by_aiortc < len(taken)  # its buffer throws away more than the network did
    assert slots["primary"] == len(taken)
    assert sum(slots.values()) == pytest.approx(sent, abs=2)
    # aiortc makes stereo of mono at 3 dB less
    assert band_distance_db(np.sqrt(2) * played, 48_000, speech)[0] < SAME_DB
