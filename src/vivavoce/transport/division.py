"""How a rate is divided among Opus and what protects it."""

from __future__ import annotations

from dataclasses import dataclass

from vivavoce.transport.protection import Protection

MIN_OPUS_BITRATE_BPS = 6_000  # RFC 6716 section 2.1.1
ENOUGH_BPS, ENOUGH_WITH_LBRR_BPS = 12_000, 20_000  # Opus comes first up to here
DRED_SHARE, MOST_DRED_SHARE = 0.5, 0.8  # of what is beyond, without loss and at most
LEAST_DRED_BPS = 3_000
FINEST_BITS, FINEST_CHUNK_BITS, CHUNK_MS = 300, 70, 40  # of a description at the finest level: more has no use
EVERY_PACKET_BPS, EVERY_OTHER_BPS = 24_000, 8_000  # of descriptions: poorer ones are rarer, not all but empty


@dataclass(frozen=True)
class Division:
    """Shares of a rate, in b/s of RTP payload.

    Attributes:
        opus_bps: Of the primary, with its LBRR.
        dred_bps: Of descriptions of the past; 0 without.
        dred_every: Packets from one description to the next.
    """

    opus_bps: float
    dred_bps: float
    dred_every: int


def divide(
    bitrate_bps: float,
    protection: Protection,
    expected_loss: float,
    packet_ms: float,
    red_bitrate_bps: float | None = None,
) -> Division:
    """Divide a rate.

    Args:
        bitrate_bps: All RTP payload.
        protection: What is in it.
        expected_loss: Share of packets.
        packet_ms: Duration of a packet.
        red_bitrate_bps: Of RED copies by an encoder of their own; None: copies of the primary.

    Raises:
        ValueError: It leaves less than 6 kb/s for Opus.
    """
    copies = len(protection.red)
    rate = float(bitrate_bps)
    dred = 0.0
    if copies:  # RFC 2198 section 3: headers of 4 bytes a copy, and 1 more
        rate -= 8 * 1000 / packet_ms * (1 + 4 * copies)
        rate -= copies * (red_bitrate_bps or 0.0)
    if protection.dred_ms:
        enough = ENOUGH_WITH_LBRR_BPS if protection.lbrr else ENOUGH_BPS
        share = min(MOST_DRED_SHARE, DRED_SHARE + expected_loss)
        finest = FINEST_BITS + FINEST_CHUNK_BITS * protection.dred_ms / CHUNK_MS
        dred = min(max(LEAST_DRED_BPS, share * (rate - enough)), finest * 1000 / packet_ms)
        rate -= dred
    if copies and red_bitrate_bps is None:
        rate /= 1 + copies
    if not MIN_OPUS_BITRATE_BPS <= rate < float("inf"):
        raise ValueError(
            f"{bitrate_bps:.0f} b/s with protection {protection} leaves {rate:.0f} b/s for Opus; "
            f"it needs {MIN_OPUS_BITRATE_BPS}"
        )
    every = 1 if dred >= EVERY_PACKET_BPS else 2 if dred >= EVERY_OTHER_BPS else 4
    return Division(rate, dred, max(1, round(every * 20 / packet_ms)))
