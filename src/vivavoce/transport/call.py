"""A whole call in one process, on a virtual clock: exact, repeatable, faster than real time.

The same `Sender` and `Receiver` as over sockets. A slot is captured, encoded when it is complete, sent through a
`Network`, and played `playout_delay_ms` after the capture of its first sample; the constant delay is then taken off, so
that input and output lie above each other.
"""

from __future__ import annotations

import heapq
import itertools
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from vivavoce.codec.library import find_libopus
from vivavoce.transport.forecast import LossForecast
from vivavoce.transport.loss import LossModel
from vivavoce.transport.network import GammaJitter, Network
from vivavoce.transport.player import Slot
from vivavoce.transport.protection import Protection
from vivavoce.transport.receiver import Receiver
from vivavoce.transport.sender import Sender
from vivavoce.transport.stats import SLOT_TICKS, ReceiverStats

FRAME_MS = 20
PULL_MS = 10  # the loudspeaker asks for a frame of the house's clock
# Opus declares its delay, but the high-pass of its speech mode advances a voice by up to 6 samples at 48 kHz more or
# less, depending on the talker: the rest is measured, within this range, on the first 22 s or more.
ALIGN_S = 0.0005
ALIGN_OVER_SAMPLES = 1 << 20


@dataclass(frozen=True)
class CallSettings:
    """What a simulated call is made of.

    Args:
        loss: Which packets never arrive; None: all do.
        jitter_ms: Mean of the gamma-distributed delay on the way.
        seed: Of losses and jitter.
        bitrate_bps: Target for all RTP payload bytes.
        expected_loss_pct: What the encoder prepares for; None: the loss rate of `loss`.
        expected_burst: Packets that are lost in a row, on average, as the sender expects; None: the bursts of `loss`.
        protection: What the sender adds.
        conceal: One of `concealment.concealer.CONCEALERS`.
        playout_delay_ms: From capture to playout; None adapts it.
        sample_rate: 16000 or 48000 Hz, of input, codec and output.
    """

    loss: LossModel | None = None
    jitter_ms: float = 0.0
    seed: int = 0
    bitrate_bps: float = 32_000
    expected_loss_pct: float | None = None
    expected_burst: float | None = None
    protection: Protection = Protection()  # noqa: RUF009 - frozen
    conceal: str = "opus"
    playout_delay_ms: float | None = 100.0
    sample_rate: int = 16_000

    def __post_init__(self) -> None:
        if self.sample_rate not in (16_000, 48_000):
            raise ValueError(f"sample_rate must be 16000 or 48000, got {self.sample_rate}")
        if not 0 <= self.jitter_ms <= 10_000:
            raise ValueError(f"jitter_ms must be between 0 and 10000, got {self.jitter_ms}")
        if self.expected_burst is not None and not 1 <= self.expected_burst < math.inf:
            raise ValueError(f"expected_burst must be 1 packet or more, got {self.expected_burst}")

    @property
    def encoder_expects_pct(self) -> float:
        """The expected loss that the encoder is really given."""
        if self.expected_loss_pct is not None:
            return self.expected_loss_pct
        return 0.0 if self.loss is None else 100 * self.loss.loss_rate


@dataclass(frozen=True)
class CallResult:
    """What came out of a call, and what it took.

    Attributes:
        samples: Shape (samples,), float32: as long as the input and aligned with it.
        sample_rate: In Hz.
        duration_s: Of the input.
        packets: RTP packets sent.
        lost: Of them, how many the network lost.
        bitrate_bps: RTP payload bits over the input's duration.
        expected_loss_pct: What the encoder was told.
        slots: 20-ms slots of the input per source; "unplayed" where an adaptive delay has grown beyond the end.
        protection: Share of packets that really carried each kind of redundancy that was asked for.
        redundancy: What was added in the end and why, and what descriptions of the past were like on average.
        playout_delay_ms: At the end.
        delay_changes: (seconds, ms) for an adaptive delay; empty for a fixed one.
        cpu_seconds_per_second: CPU time per second of audio: encode, network, receive, playout.
        slot_sources: Source of each slot of the input, in order, aligned with `samples`.
        lost_packets: Shape (packets,), bool.
        stats: Everything that the receiver counted.
        codec: Name and version of the codec library.
    """

    samples: np.ndarray
    sample_rate: int
    duration_s: float
    packets: int
    lost: int
    bitrate_bps: float
    expected_loss_pct: float
    slots: dict[str, int]
    protection: dict[str, float]
    redundancy: dict[str, object]
    playout_delay_ms: float
    delay_changes: list[tuple[float, float]]
    cpu_seconds_per_second: dict[str, float]
    slot_sources: list[str]
    lost_packets: np.ndarray
    stats: ReceiverStats
    codec: str


class _Stopwatch:
    """CPU seconds of this thread per stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        began = time.thread_time()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.thread_time() - began


def simulate_call(samples: np.ndarray, settings: CallSettings) -> CallResult:
    """Send speech through a lossy network and play it.

    Args:
        samples: Shape (samples,), float32 in [-1, 1) at `settings.sample_rate`, at least one.
        settings: The call.

    Raises:
        ValueError: No samples, or a setting is out of range.
        CodecError: No libopus was found.
    """
    if samples.ndim != 1 or not len(samples):
        raise ValueError(f"a call needs samples of shape (samples,), got {samples.shape}")
    sender = _sender(settings)
    first_timestamp = sender.timestamp
    jitter = GammaJitter(settings.jitter_ms) if settings.jitter_ms else None
    network = Network(settings.loss, jitter, seed=settings.seed)
    receiver = Receiver(
        settings.sample_rate,
        playout_delay_ms=settings.playout_delay_ms,
        conceal=settings.conceal,
        anchor=(first_timestamp, 0.0),
        ssrc=2,
    )
    delay = round(receiver.playout_delay_ms * settings.sample_rate / 1000) + sender.delay_samples
    stopwatch = _Stopwatch()
    margin = round(ALIGN_S * settings.sample_rate)
    played, slots = _run(samples, sender, network, receiver, delay + len(samples) + margin, stopwatch)
    if settings.playout_delay_ms is not None:
        delay += _misalignment(samples, played, delay, margin)
    duration_s = len(samples) / settings.sample_rate
    sources = _slot_sources(slots, first_timestamp, -(-len(samples) // sender.frame_samples))
    return CallResult(
        samples=played[delay : delay + len(samples)],
        sample_rate=settings.sample_rate,
        duration_s=duration_s,
        packets=len(network.lost),
        lost=sum(network.lost),
        bitrate_bps=8 * sender.stats.bytes_sent / duration_s,
        expected_loss_pct=sender.expected_loss_pct,
        slots={source: sources.count(source) for source in sorted(set(sources))},
        protection=sender.carried,
        redundancy=sender.redundancy,
        playout_delay_ms=_delay_at_the_end(receiver, settings),
        delay_changes=receiver.delay_changes if settings.playout_delay_ms is None else [],
        cpu_seconds_per_second={stage: seconds / duration_s for stage, seconds in stopwatch.seconds.items()},
        slot_sources=sources,
        lost_packets=np.array(network.lost, dtype=bool),
        stats=receiver.stats,
        codec=f"libopus {find_libopus().version}",
    )


def encode_rate(samples: np.ndarray, settings: CallSettings) -> float:
    """The RTP payload rate that a call with these settings has, in b/s, without making it."""
    sender = _sender(settings)
    for frame in _frames(samples, sender):
        sender.send(frame)
    return 8 * sender.stats.bytes_sent / (len(samples) / settings.sample_rate)


def unprotected(settings: CallSettings) -> CallSettings:
    """The same call as plain Opus."""
    return replace(settings, protection=Protection())


def _sender(settings: CallSettings) -> Sender:
    burst = settings.expected_burst
    return Sender(
        sample_rate=settings.sample_rate,
        frame_ms=FRAME_MS,
        bitrate_bps=settings.bitrate_bps,
        protection=settings.protection,
        expected_loss_pct=settings.encoder_expects_pct,
        forecast=LossForecast.of(settings.loss) if burst is None else LossForecast.usual(0.0, burst),
        playout_delay_ms=settings.playout_delay_ms,
        reads_dred=settings.conceal.partition(":")[0] == "neural",
        ssrc=1,
        sequence_number=0,
        timestamp=SLOT_TICKS,
    )


def _frames(samples: np.ndarray, sender: Sender) -> Iterator[np.ndarray]:
    """Whole frames that hold the samples and push the last of them out of the codec."""
    size = sender.frame_samples
    count = -(-(len(samples) + sender.delay_samples) // size)
    for index in range(count):
        frame = samples[index * size : (index + 1) * size]
        yield frame if len(frame) == size else np.concatenate([frame, np.zeros(size - len(frame), np.float32)])


def _run(
    samples: np.ndarray, sender: Sender, network: Network, receiver: Receiver, wanted: int, stopwatch: _Stopwatch
) -> tuple[np.ndarray, list[Slot]]:
    """The event loop: at each tick of the loudspeaker, whatever has been sent and has arrived by then."""
    slots: list[Slot] = []
    frames = _frames(samples, sender)
    under_way: list[tuple[float, int, bytes]] = []
    order = itertools.count()  # of equal arrivals the first sent comes first
    sent = 0
    pull = receiver.sample_rate * PULL_MS // 1000
    ticks = -(-wanted // pull)
    played = np.empty(ticks * pull, np.float32)
    frame: np.ndarray | None = next(frames, None)
    for tick in range(ticks):
        now = tick * PULL_MS / 1000
        while frame is not None and (complete := (sent + 1) * FRAME_MS / 1000) <= now:
            with stopwatch("encode"):
                datagrams = sender.send(frame)
            with stopwatch("network"):
                for datagram in datagrams:
                    for arrival, copy in network.send(datagram, complete):
                        heapq.heappush(under_way, (arrival, next(order), copy))
            sent += 1
            frame = next(frames, None)
        with stopwatch("receive"):
            while under_way and under_way[0][0] <= now:
                arrival, _, datagram = heapq.heappop(under_way)
                receiver.receive(datagram, arrival)
        with stopwatch("playout"):
            played[tick * pull : (tick + 1) * pull] = receiver.playout(pull, now)
        slots += receiver.drain_slots()
    return played[:wanted], slots


def _misalignment(samples: np.ndarray, played: np.ndarray, delay: int, margin: int) -> int:
    """By how many samples the declared delay misses the best constant shift, within the margin."""
    count = min(len(samples), ALIGN_OVER_SAMPLES)
    shifts = sorted(range(-min(margin, delay), margin + 1), key=abs)  # among equals the smallest wins
    matches = [float(np.dot(samples[:count], played[delay + shift :][:count])) for shift in shifts]
    best = int(np.argmax(matches))
    return shifts[best] if matches[best] > 0 else 0


def _slot_sources(slots: list[Slot], first_timestamp: int, count: int) -> list[str]:
    """Source of each 20-ms slot of the input; "unplayed" where an adaptive delay has grown beyond the end."""
    sources = ["unplayed"] * count
    for slot in slots:
        index = (slot.timestamp - first_timestamp) // SLOT_TICKS
        if 0 <= index < count:
            sources[index] = slot.source
    return sources


def _delay_at_the_end(receiver: Receiver, settings: CallSettings) -> float:
    changes = receiver.delay_changes
    if settings.playout_delay_ms is not None or not changes:
        return receiver.playout_delay_ms
    return changes[-1][1]
