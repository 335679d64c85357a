"""Real packets of a short real utterance, encoded once, and a receiver driven on a virtual clock."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from vivavoce.audio import read_audio
from vivavoce.transport.protection import Protection
from vivavoce.transport.receiver import Receiver
from vivavoce.transport.sender import Sender

SPEECH = Path(__file__).parents[1] / "data" / "speech-16k.flac"
FRAME_S = 0.02


@lru_cache
def speech(seconds: float = 3.0) -> np.ndarray:
    return read_audio(SPEECH, 16_000)[0][: round(16_000 * seconds)]


@lru_cache
def packets(
    protect: str = "none",
    seconds: float = 3.0,
    ssrc: int = 7,
    sequence_number: int = 65_530,
    timestamp: int = 2**32 - 1920,
    dtx: bool = False,
    frame_ms: int = 20,
    bitrate_bps: int = 32_000,
    pause: bool = False,
    dred_payload_type: int | None = None,
) -> tuple[tuple[int, bytes], ...]:
    """(frame, datagram) of each packet sent; sequence and timestamp wrap early. `pause` mutes the middle."""
    sender = Sender(
        sample_rate=16_000,
        frame_ms=frame_ms,
        bitrate_bps=bitrate_bps,
        protection=Protection.parse(protect),
        expected_loss_pct=20,
        dtx=dtx,
        dred_payload_type=dred_payload_type,
        ssrc=ssrc,
        sequence_number=sequence_number,
        timestamp=timestamp,
    )
    samples = speech(seconds).copy()
    if pause:
        samples[len(samples) // 4 : 3 * len(samples) // 4] = 0
    size = sender.frame_samples
    frames = [samples[at : at + size] for at in range(0, len(samples) - size + 1, size)]
    return tuple((index, datagram) for index, frame in enumerate(frames) for datagram in sender.send(frame))


def play(
    receiver: Receiver, arrivals: list[tuple[float, bytes]], until: float, pull_s: float = 0.01, start: float = 0.0
) -> np.ndarray:
    """Deliver (time, datagram) in order of time and pull steadily; returns everything that was played."""
    waiting = sorted(arrivals, key=lambda arrival: arrival[0])[::-1]
    count = round(pull_s * receiver.sample_rate)
    played = []
    for tick in range(round((until - start) / pull_s)):
        now = start + tick * pull_s
        while waiting and waiting[-1][0] <= now + 1e-9:
            receiver.receive(waiting[-1][1], waiting[-1][0])
            waiting.pop()
        played.append(receiver.playout(count, now))
    return np.concatenate(played)


def on_time(stream: tuple[tuple[int, bytes], ...], lost: tuple[int, ...] = (), frame_s: float = FRAME_S) -> list:
    """Each packet arrives when its frame is complete, save the lost frames."""
    return [((index + 1) * frame_s, datagram) for index, datagram in stream if index not in lost]
