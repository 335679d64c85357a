"""Speech, packets and the two builds of libopus that the codec tests share."""

import ctypes
import random

import numpy as np
import pytest
import soxr

from vivavoce.codec.library import load_libopus, pyav_libopus_files
from vivavoce.codec.opus import OpusEncoder

# name: arguments of the encoder; between them all modes, bandwidths and frame durations, mono and stereo
ENCODERS = {
    "silk 10 ms": {"frame_ms": 10, "inband_fec": True, "expected_loss_pct": 20, "bitrate_bps": 32000},
    "silk 20 ms": {"frame_ms": 20, "inband_fec": True, "expected_loss_pct": 20, "bitrate_bps": 32000},
    "silk 40 ms": {"frame_ms": 40, "inband_fec": True, "expected_loss_pct": 20, "bitrate_bps": 32000},
    "silk 60 ms": {"frame_ms": 60, "inband_fec": True, "expected_loss_pct": 20, "bitrate_bps": 32000},
    "silk without LBRR": {"frame_ms": 20, "bitrate_bps": 14000, "bandwidth": "mediumband"},
    "silk CBR": {"frame_ms": 20, "bitrate_bps": 16000, "bandwidth": "narrowband", "vbr": False},
    "silk DTX": {"frame_ms": 20, "bitrate_bps": 24000, "dtx": True},
    "silk stereo 10 ms": {"frame_ms": 10, "channels": 2, "inband_fec": True, "expected_loss_pct": 20},
    "silk stereo 20 ms": {"frame_ms": 20, "channels": 2, "inband_fec": True, "expected_loss_pct": 20},
    "silk stereo 60 ms": {"frame_ms": 60, "channels": 2, "inband_fec": True, "expected_loss_pct": 20},
    "hybrid 20 ms": {"sample_rate": 48000, "bandwidth": "fullband", "inband_fec": True, "expected_loss_pct": 20},
    "hybrid 10 ms": {"sample_rate": 48000, "frame_ms": 10, "bandwidth": "superwideband", "bitrate_bps": 28000},
    "celt 20 ms": {"sample_rate": 48000, "application": "lowdelay", "bitrate_bps": 64000},
    "celt 2.5 ms": {"sample_rate": 48000, "application": "lowdelay", "bitrate_bps": 96000, "frame_ms": 2.5},
    "celt 60 ms": {"sample_rate": 48000, "application": "lowdelay", "bitrate_bps": 48000, "frame_ms": 60},
}

LIBRARIES = ["bundled", pytest.param("debian", marks=pytest.mark.peer)]


def load(name, peer):
    if name == "debian":
        return load_libopus(peer.library("libopus.so.0", "libopus0"))
    files = pyav_libopus_files()
    if not files:
        peer.missing("PyAV's wheel with its libopus")
    return load_libopus(files[0], origin="PyAV")


@pytest.fixture(scope="session", params=LIBRARIES)
def library(request, peer):
    """Both builds of libopus, one after the other."""
    return load(request.param, peer)


@pytest.fixture(scope="session")
def bundled(peer):
    """The libopus in PyAV's wheel."""
    return load("bundled", peer)


@pytest.fixture(scope="session")
def debian(peer):
    """The libopus of Debian's package libopus0."""
    return load("debian", peer)


@pytest.fixture(scope="session")
def speech(speech_16k):
    return speech_16k


@pytest.fixture(scope="session")
def speech_48k(speech):
    return soxr.resample(speech, 16000, 48000)


def frames_of(samples, encoder):
    """The input cut as the encoder wants it; stereo gets a second channel that differs from the first."""
    size = encoder.frame_samples
    if encoder.channels == 2:
        samples = np.stack([samples, np.roll(samples, 13) * 0.5])
    return [samples[..., at : at + size] for at in range(0, samples.shape[-1] - size + 1, size)]


@pytest.fixture(scope="session")
def real_packets(bundled, speech, speech_48k):
    """Packets of real speech: {name in ENCODERS: list of bytes}."""
    packets = {}
    for name, settings in ENCODERS.items():
        encoder = OpusEncoder(library=bundled, **settings)
        samples = speech_48k if encoder.sample_rate == 48000 else speech
        if name == "silk DTX":
            samples = np.concatenate([samples[:16000], np.zeros(16000, np.float32), samples[:8000]])
        packets[name] = [encoder.encode(frame) for frame in frames_of(samples, encoder)]
    return packets


@pytest.fixture(scope="session")
def packets(real_packets):
    """A flat, shuffled sample of them."""
    flat = [packet for group in real_packets.values() for packet in group]
    random.Random(0).shuffle(flat)
    return flat


@pytest.fixture(scope="session")
def parse_by_libopus():
    """A function (library, data) -> tuple of frames, or None where opus_packet_parse refuses."""

    def parse(library, data):
        sizes, offset = (ctypes.c_int16 * 48)(), ctypes.c_int()
        count = library.api.opus_packet_parse(data, len(data), None, None, sizes, ctypes.byref(offset))
        if count < 0:
            return None
        frames, at = [], offset.value
        for size in sizes[:count]:
            frames.append(data[at : at + size])
            at += size
        return tuple(frames)

    return parse


@pytest.fixture(scope="session")
def mutated():
    """A function (random, packet) -> packet with some bytes changed, cut off or added, most often at its head."""

    def mutate(generator, packet):
        data = bytearray(packet)
        for _ in range(generator.randint(1, 4)):
            kind = generator.randrange(5)
            at = min(int(generator.expovariate(0.2)), len(data) - 1) if data else 0
            if kind == 0 and data:
                data[at] = generator.randrange(256)
            elif kind == 1 and data:
                data[at] ^= 1 << generator.randrange(8)
            elif kind == 2:
                del data[generator.randint(0, len(data)) :]
            elif kind == 3:
                data[at:at] = generator.randbytes(generator.choice([1, 2, 300]))
            elif data:
                data[0] |= 3
        return bytes(data)

    return mutate
