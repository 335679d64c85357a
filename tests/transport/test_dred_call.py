"""A call whose gaps are made from descriptions, with the released model, at every length of packets: what was said, and
when it was said."""

import numpy as np
import pytest

from transport.streams import speech
from vivavoce.audio import resample
from vivavoce.transport.protection import Protection
from vivavoce.transport.receiver import Receiver
from vivavoce.transport.sender import Sender

SECONDS, DELAY_MS, HOP_MS = 3.0, 1100, 10
FIRST = 2**32 - 72_000  # it wraps in the middle of the first gap
LOST_MS = ((1320, 1560), (2040, 2400))
STEP_MS = 2.5  # of envelopes


def heard(sample_rate, frame_ms, lost_ms, **settings):
    """What is played of speech whose packets of these times are lost, and the receiver."""
    samples = resample(speech(SECONDS), 16_000, sample_rate).astype(np.float32)
    sender = Sender(
        sample_rate=sample_rate,
        frame_ms=frame_ms,
        bitrate_bps=40_000,
        protection=Protection(dred_ms=1040),
        expected_loss_pct=20,
        playout_delay_ms=DELAY_MS,
        timestamp=FIRST,
        **settings,
    )
    receiver = Receiver(sample_rate, playout_delay_ms=DELAY_MS, conceal="neural", anchor=(FIRST, 0.0))
    size, played, sent = sender.frame_samples, [], []
    for number in range(len(samples) // size):
        (datagram,) = sender.send(samples[number * size : (number + 1) * size])
        if not any(begin <= number * frame_ms < end for begin, end in lost_ms):
            sent.append(((number + 1) * frame_ms, datagram))
    for now_ms in range(0, round(1000 * SECONDS) + DELAY_MS, HOP_MS):
        while sent and sent[0][0] <= now_ms:
            receiver.receive(sent.pop(0)[1], now_ms / 1000)
        played.append(receiver.playout(sample_rate * HOP_MS // 1000, now_ms / 1000))
    return np.concatenate(played)[sample_rate * DELAY_MS // 1000 :], receiver


def envelope(samples, sample_rate):
    """Logarithm of the energy of every 2.5 ms."""
    width = round(sample_rate * STEP_MS / 1000)
    return np.log10(np.square(samples[: len(samples) // width * width].reshape(-1, width)).mean(1) + 1e-7)


@pytest.mark.parametrize("frame_ms", [10, 20, 40, 60])
@pytest.mark.parametrize("sample_rate", [16_000, 48_000])
def test_what_was_lost_is_heard_at_its_time(sample_rate, frame_ms):
    whole, _ = heard(sample_rate, frame_ms, ())
    made, receiver = heard(sample_rate, frame_ms, LOST_MS)
    assert receiver.stats.slot_ticks["dred"] == 600 * 48
    assert set(receiver.stats.slot_ticks) == {"primary", "dred"}
    true, told = (envelope(samples, sample_rate) for samples in (whole, made))
    at = np.concatenate([np.arange(begin // STEP_MS, end // STEP_MS, dtype=int) for begin, end in LOST_MS])
    likeness = {shift: np.corrcoef(true[at], told[at + shift])[0, 1] for shift in range(-6, 7)}
    best = max(likeness[shift] for shift in (-2, -1, 0, 1, 2))
    assert best > 0.75
    assert best > max(likeness[-6], likeness[6]) + 0.02  # 15 ms off would be noticed


@pytest.mark.parametrize("frame_ms", [10, 60])
def test_blocks_of_red_say_the_same(frame_ms):
    _, receiver = heard(16_000, frame_ms, LOST_MS, dred_payload_type=118)
    assert receiver.stats.slot_ticks["dred"] == 600 * 48
