"""`vivavoce send`: a sound file as a live RTP stream."""

from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vivavoce.cli.options import BURST_HELP, JSON_HELP, PROTECT_HELP, read_number_or, warn
from vivavoce.errors import VivavoceError

if TYPE_CHECKING:
    import numpy as np

    from vivavoce.cli.udp import RtpSockets, SocketAddress
    from vivavoce.transport.sdp import AudioDescription
    from vivavoce.transport.sender import Sender

REPORT_S = 2.0  # between two RTCP reports; varied by half, lest many streams report in step (RFC 3550 section 6.2)
MAX_BEHIND_S = 0.2  # after a longer standstill of this process the stream goes on from now, without a burst


def send(
    source: Annotated[str, typer.Argument(metavar="INPUT", help="Any sound file; - is stdin.")],
    to: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where the RTP goes; RTCP goes to PORT+1.")],
    sdp: Annotated[Path | None, typer.Option(help="Write what players need to know of the stream here.")] = None,
    bitrate: Annotated[float, typer.Option(help="All RTP payload, in b/s.")] = 32_000,
    expect_loss: Annotated[
        str, typer.Option(help="Loss in % the encoder prepares for; auto: what RTCP reports.")
    ] = "auto",
    expect_burst: Annotated[str, typer.Option(help=BURST_HELP + "as RTCP reports.")] = "auto",
    protect: Annotated[str, typer.Option(help=PROTECT_HELP)] = "none",
    frame_ms: Annotated[int, typer.Option(help="Of one packet: 10, 20, 40 or 60.")] = 20,
    dtx: Annotated[bool, typer.Option("--dtx", help="Send nothing in silence.")] = False,
    sample_rate: Annotated[int, typer.Option(help="Of the codec: 8000, 12000, 16000, 24000 or 48000.")] = 48_000,
    loop: Annotated[bool, typer.Option("--loop", help="Again and again, until Ctrl-C.")] = False,
    rtcp_mux: Annotated[bool, typer.Option("--rtcp-mux", help="RTCP on the port of RTP (RFC 5761).")] = False,
    payload_type: Annotated[int, typer.Option(help="RTP payload type of Opus.", min=0, max=127)] = 111,
    red_payload_type: Annotated[int, typer.Option(help="RTP payload type of RED.", min=0, max=127)] = 63,
    dred_blocks: Annotated[
        bool, typer.Option("--dred-blocks", help="Put dred into blocks of RED, not into the padding of Opus packets.")
    ] = False,
    dred_payload_type: Annotated[int, typer.Option(help="RTP payload type of --dred-blocks.", min=0, max=127)] = 118,
    dred_extension: Annotated[int, typer.Option(help="Of dred in the padding: its ID.", min=32, max=127)] = 122,
    plain_peer: Annotated[
        bool, typer.Option("--plain-peer", help="The receiver knows nothing of dred: auto adds none.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing SDP file.")] = False,
) -> None:
    """Send INPUT in real time as RTP over UDP."""
    from vivavoce.audio import check_writable, read_audio, write_whole
    from vivavoce.cli.udp import open_towards, parse_address, resolve
    from vivavoce.transport.forecast import LONGEST as MAX_BURST
    from vivavoce.transport.forecast import LossForecast
    from vivavoce.transport.protection import Protection
    from vivavoce.transport.sdp import AudioDescription
    from vivavoce.transport.sender import Sender

    host, port = parse_address(to, "--to", rtcp_mux=rtcp_mux)
    if host is None:
        raise ValueError(f"--to: expected HOST:PORT, got {to!r}")
    protection = Protection.parse(protect)
    block_type = dred_payload_type if dred_blocks else None
    burst = read_number_or("auto", "--expect-burst", expect_burst, 1, MAX_BURST)
    sender = Sender(
        sample_rate=sample_rate,
        frame_ms=frame_ms,
        bitrate_bps=bitrate,
        protection=protection,
        expected_loss_pct=read_number_or("auto", "--expect-loss", expect_loss, 0, 100),
        forecast=None if burst is None else LossForecast.usual(0.0, burst),
        dtx=dtx,
        payload_type=payload_type,
        red_payload_type=red_payload_type,
        dred_payload_type=block_type,
        dred_extension_id=dred_extension,
        reads_dred=not plain_peer,
    )
    family, destination = resolve(host, port)
    description = AudioDescription(
        address=destination[0].partition("%")[0],
        port=port,
        opus_payload_type=payload_type,
        red_payload_type=red_payload_type if protection.red or protection.auto or dred_blocks else None,
        dred_payload_type=block_type,
        ptime_ms=frame_ms,
        inband_fec=protection.lbrr or protection.auto,
        dtx=dtx,
        rtcp_mux=rtcp_mux,
    )
    if sdp is not None:
        check_writable(sdp, force=force)
    samples, _ = read_audio(source, sample_rate)
    with open_towards(family, rtcp_mux=rtcp_mux) as sockets:
        if sdp is not None:
            write_whole(sdp, lambda file: file.write(description.serialize().encode()))
        session = _Session(sender, sockets, destination)
        try:
            session.run(_frames(samples, sender, loop=loop))
        except KeyboardInterrupt:
            if not loop:
                raise
    for name in protection.names:
        if not sender.stats.protection[name]:
            warn(f"no packet carried {name}")
    summary = _summary(sender, description, session.duration_s)
    if as_json:
        print(json.dumps(summary))
    else:
        kilobits = float(summary["bitrate_bps"]) / 1000  # type: ignore[arg-type]
        packets = sender.stats.packets_sent
        print(f"sent {session.duration_s:.2f} s to {summary['to']}: {packets} packets, {kilobits:.1f} kb/s")


class _Session:
    """One stream on its way: paces the frames, tells and hears RTCP.

    Attributes:
        duration_s: Of the sound sent.
    """

    def __init__(self, sender: Sender, sockets: RtpSockets, destination: SocketAddress) -> None:
        from vivavoce.cli.udp import next_port

        self.duration_s = 0.0
        self._sender, self._sockets, self._destination = sender, sockets, destination
        self._rtcp_destination = destination if sockets.muxed else next_port(destination)
        self._wall_clock_offset = time.time() - time.monotonic()  # once: a clock that is set must not jump in reports
        self._sent = 0

    def run(self, frames: Iterator[np.ndarray]) -> None:
        """Send frame n at the start plus n times its duration, whatever each took; say goodbye in the end."""
        from vivavoce.cli.udp import clock

        frame_s = self._sender.frame_ms / 1000
        start = clock()
        report_at = start + REPORT_S / 4
        try:
            for number, frame in enumerate(frames):
                self._listen(until=start + number * frame_s)
                now = clock()
                start += max(0.0, now - (start + number * frame_s) - MAX_BEHIND_S)
                for datagram in self._sender.send(frame):
                    self._transmit(datagram)
                self.duration_s = (number + 1) * frame_s
                if now >= report_at:
                    self._report(now)
                    report_at = now + REPORT_S * random.uniform(0.5, 1.5)
            self._listen(until=start + self.duration_s)
        finally:
            self._report(clock(), goodbye=True)

    def _listen(self, until: float) -> None:
        """Take the peer's reports until it is time."""
        from vivavoce.cli.udp import clock
        from vivavoce.transport.rtcp import is_rtcp

        while True:
            for arrival in self._sockets.wait(until):
                if is_rtcp(arrival.datagram):
                    self._sender.receive_rtcp(arrival.datagram, clock() + self._wall_clock_offset)
            if clock() >= until:
                return

    def _transmit(self, datagram: bytes) -> None:
        try:
            self._sockets.rtp.sendto(datagram, self._destination)
        except OSError as error:
            if not self._sent:  # later, a network that is away for a moment must not end the call
                raise VivavoceError(f"cannot send to {self._destination[0]}: {error.strerror or error}") from None
        self._sent += 1

    def _report(self, now: float, *, goodbye: bool = False) -> None:
        if self._sent:
            report = self._sender.report(now + self._wall_clock_offset, goodbye=goodbye)
            try:
                self._sockets.rtcp.sendto(report, self._rtcp_destination)
            except OSError:
                pass  # the next report may get through


def _frames(samples: np.ndarray, sender: Sender, *, loop: bool) -> Iterator[np.ndarray]:
    """Whole frames: the samples in a ring, or once and as much silence as pushes them out of the codec."""
    import numpy as np

    size = sender.frame_samples
    if loop:
        for number in itertools.count():
            yield np.take(samples, np.arange(number * size, (number + 1) * size), mode="wrap")
    for begin in range(0, len(samples) + sender.delay_samples, size):
        frame = samples[begin : begin + size]
        yield np.pad(frame, (0, size - len(frame)))


def _summary(sender: Sender, description: AudioDescription, duration_s: float) -> dict[str, object]:
    stats = sender.stats
    return {
        "to": f"{description.address} port {description.port}",
        "duration_s": round(duration_s, 3),
        "packets_sent": stats.packets_sent,
        "bytes_sent": stats.bytes_sent,
        "header_bytes_sent": stats.header_bytes_sent,
        "bitrate_bps": round(8 * stats.bytes_sent / duration_s, 1) if duration_s else 0.0,
        "expected_loss_pct": round(sender.expected_loss_pct, 3),
        "protection": {name: round(share, 4) for name, share in sender.carried.items()},
        "redundancy": sender.redundancy,
        "dtx_frames": stats.dtx_frames,
        "reports_received": stats.reports_received,
        "fraction_lost": stats.fraction_lost,
        "round_trip_time": stats.round_trip_time,
    }
