"""One synchronisation source as its receiver sees it: which packets are valid, lost, repeated; how much they jitter.

The sequence-number checks of RFC 3550 appendix A.1, the loss counts of A.3 and the jitter of A.8.
"""

from __future__ import annotations

from enum import Enum

from vivavoce.transport.rtcp_metrics import interarrival_jitter
from vivavoce.transport.rtp import sequence_delta

MAX_DROPOUT = 3000  # RFC 3550 A.1: a minute of 20-ms packets; a larger jump is a restart
MAX_MISORDER = 100
WINDOW = 1024  # packets remembered for duplicates and burst metrics: 20 s


class Verdict(Enum):
    """What a sequence number says about its packet."""

    NEW = "new"
    DUPLICATE = "duplicate"
    SUSPECT = "suspect"  # far from the sequence: a stray, or a restart


class Source:
    """Sequence state of one SSRC.

    Attributes:
        received: Packets accepted, without duplicates.
        discarded: Of them, packets too late to be played.
        highest: Extended highest sequence number (cycles above the low 16 bits).
        jitter_s: Interarrival jitter in seconds, RFC 3550 section 6.4.1.
    """

    def __init__(self, ssrc: int, sequence_number: int) -> None:
        self.ssrc = ssrc
        self.jitter_s = 0.0
        self._transit: float | None = None
        self.first = self.highest = sequence_number
        self.received = 0
        self._window = 0  # bit k: sequence number highest - k was received
        self._late = 0  # bit k: it was received, too late to be played
        self.discarded = 0
        self._reported_expected = self._reported_received = 0

    def accept(self, sequence_number: int) -> tuple[Verdict, int]:
        """Judge a packet's sequence number.

        Returns:
            The verdict and the extended sequence number (meaningless for SUSPECT).
        """
        delta = sequence_delta(sequence_number, self.highest & 0xFFFF)
        extended = self.highest + delta
        if delta > MAX_DROPOUT or delta < -MAX_MISORDER:
            return Verdict.SUSPECT, extended
        if delta > 0:
            self._window = (self._window << delta) & ((1 << WINDOW) - 1)
            self._late = (self._late << delta) & ((1 << WINDOW) - 1)
            self.highest = extended
        bit = 1 << (self.highest - extended)
        if self._window & bit:
            return Verdict.DUPLICATE, extended
        self._window |= bit
        self.first = min(self.first, extended)
        self.received += 1
        return Verdict.NEW, extended

    def discard(self, extended: int) -> None:
        """Note that this packet came too late: for a listener it was lost (RFC 3611 section 4.7.1)."""
        self.discarded += 1
        age = self.highest - extended
        if 0 <= age < WINDOW:
            self._late |= 1 << age

    def arrived(self, arrival_s: float, timestamp_s: float) -> None:
        """Update the jitter with the transit time of one packet (RFC 3550 A.8)."""
        transit = arrival_s - timestamp_s
        if self._transit is not None:
            self.jitter_s = interarrival_jitter(self.jitter_s, transit - self._transit)
        self._transit = transit

    @property
    def expected(self) -> int:
        """Packets that the sequence numbers say were sent."""
        return self.highest - self.first + 1 if self.received else 0

    @property
    def lost(self) -> int:
        """Expected packets that have not arrived."""
        return self.expected - self.received

    def lost_flags(self) -> list[bool]:
        """The last packets, oldest first: True where not received or received too late to be played."""
        count = min(self.expected, WINDOW)
        usable = self._window & ~self._late
        return [not usable >> age & 1 for age in range(count - 1, -1, -1)]

    def fraction_lost_since_report(self) -> float:
        """Share lost since the last call (RFC 3550 A.3); negative loss from late repeats counts as none."""
        expected, received = self.expected - self._reported_expected, self.received - self._reported_received
        self._reported_expected, self._reported_received = self.expected, self.received
        return max(0.0, (expected - received) / expected) if expected > 0 else 0.0
