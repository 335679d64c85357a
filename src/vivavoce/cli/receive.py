"""`vivavoce receive`: a live RTP stream into a sound file."""

from __future__ import annotations

import json
import math
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from vivavoce.cli.options import (
    CONCEAL_HELP,
    JSON_HELP,
    LOSS_HELP,
    VOCODER_HELP,
    read_loss,
    read_number_or,
)
from vivavoce.errors import VivavoceError

if TYPE_CHECKING:
    from vivavoce.cli.recording import Recording
    from vivavoce.cli.udp import Arrival, RtpSockets, SocketAddress
    from vivavoce.transport.network import Network
    from vivavoce.transport.receiver import Receiver
    from vivavoce.transport.stats import ReceiverStats

PULL_S = 0.010  # the house's frame: what the loudspeaker would ask for
GOODBYE_S = 1.0  # a stream must have been over for so long: anybody can forge a goodbye, and packets may overtake it
WAITING_S = 0.1  # between two looks at the time limits before anything has arrived
REPORT_S = 2.0  # between two RTCP reports; varied by half, lest many receivers report in step (RFC 3550 section 6.2)
OPUS_PAYLOAD_TYPES = (111, 96, 97)  # without SDP: what browsers, GStreamer and FFmpeg take for their first audio stream
RED_PAYLOAD_TYPE = 63
PLAYOUT_DELAY_MS = "200"  # a recording can wait, and FFmpeg reads files, so sends, in pieces of 130 ms
HEARD = ("primary", "red", "lbrr", "dred")  # slots that something which arrived was played in


def receive(
    target: Annotated[str, typer.Argument(metavar="OUTPUT", help="Mono 16-bit WAV; - is stdout.")],
    listen: Annotated[
        str | None, typer.Option(metavar="[HOST:]PORT", help="Where the RTP comes; RTCP: PORT+1.")
    ] = None,
    sdp: Annotated[Path | None, typer.Option(help="Take port and payload types from this description.")] = None,
    duration: Annotated[float, typer.Option(help="End after so many seconds.")] = math.inf,
    idle: Annotated[float, typer.Option(help="End after so many seconds without a packet, once there was one.")] = 5.0,
    playout_delay: Annotated[str, typer.Option(help="From capture to playout in ms, or adaptive.")] = PLAYOUT_DELAY_MS,
    loss: Annotated[str | None, typer.Option(help="Drop what arrives. " + LOSS_HELP)] = None,
    seed: Annotated[int, typer.Option(help="Of --loss.", min=0)] = 0,
    conceal: Annotated[str, typer.Option(help=CONCEAL_HELP)] = "neural",
    vocoder: Annotated[str | None, typer.Option(help=VOCODER_HELP)] = None,
    sample_rate: Annotated[int, typer.Option(help="8000, 12000, 16000, 24000 or 48000.")] = 48_000,
    rtcp_mux: Annotated[bool, typer.Option("--rtcp-mux", help="RTCP on the port of RTP (RFC 5761).")] = False,
    payload_type: Annotated[int | None, typer.Option(help="Of Opus; else 111, 96 or 97.", min=0, max=127)] = None,
    red_payload_type: Annotated[int | None, typer.Option(help="Of RED; else 63.", min=0, max=127)] = None,
    dred_payload_type: Annotated[int | None, typer.Option(help="Of blocks of dred; else 118.", min=0, max=127)] = None,
    dred_extension: Annotated[int, typer.Option(help="Of dred in the padding: its ID.", min=32, max=127)] = 122,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Play an RTP stream that comes by UDP into a WAV file, in real time, until it ends or Ctrl-C."""
    from vivavoce.audio import PIPE, check_writable, write_whole
    from vivavoce.cli.udp import listen as open_port
    from vivavoce.concealment.concealer import with_vocoder
    from vivavoce.transport.network import Network
    from vivavoce.transport.receiver import MAX_PLAYOUT_DELAY_MS, Receiver

    if target == PIPE and as_json:
        raise ValueError("OUTPUT - and --json both want stdout")
    for option, seconds in (("--duration", duration), ("--idle", idle)):
        if not seconds > 0:
            raise ValueError(f"{option} must be above 0, got {seconds}")
    place = _Place.chosen(
        listen, sdp, rtcp_mux=rtcp_mux, opus=payload_type, red=red_payload_type, dred=dred_payload_type
    )
    delay_ms = read_number_or("adaptive", "--playout-delay", playout_delay, 0, MAX_PLAYOUT_DELAY_MS)
    receiver = Receiver(
        sample_rate,
        playout_delay_ms=delay_ms,
        conceal=with_vocoder(conceal, vocoder),
        payload_types=place.payload_types,
        dred_extension_id=dred_extension,
    )
    network = Network(None if loss is None else read_loss(loss), seed=seed)
    if target != PIPE:
        check_writable(target, force=force)
    with open_port(place.host, place.port, rtcp_mux=place.rtcp_mux) as sockets:
        session = _Session(receiver, sockets, network, duration, idle)
        if sys.stderr.isatty():
            print(f"listening on port {place.port}; Ctrl-C ends", file=sys.stderr)
        if target == PIPE:
            session.record(sys.stdout.buffer)
        else:
            write_whole(target, session.record)
    summary = _summary(session, sample_rate, adaptive=delay_ms is None)
    if as_json:
        print(json.dumps(summary))
    else:
        slots = ", ".join(f"{name} {count}" for name, count in session.stats.slots.items())
        print(
            f"received {session.samples / sample_rate:.2f} s: {session.stats.packets_received} packets, "
            f"{session.stats.packets_lost} lost; 20-ms slots: {slots}; ended by {session.ended_by}",
            file=sys.stderr if target == PIPE else sys.stdout,
        )


class _Place:
    """Where to listen, and what the payload types mean there."""

    def __init__(self, host: str | None, port: int, rtcp_mux: bool, payload_types: dict[int, str]) -> None:
        self.host, self.port, self.rtcp_mux, self.payload_types = host, port, rtcp_mux, payload_types

    @classmethod
    def chosen(
        cls,
        listen: str | None,
        sdp: Path | None,
        *,
        rtcp_mux: bool,
        opus: int | None,
        red: int | None,
        dred: int | None,
    ) -> _Place:
        """What the options say; what they leave open, the description.

        Raises:
            ValueError: Neither tells a port, or an option is malformed.
            VivavoceError: The description cannot be used.
        """
        from vivavoce.cli.udp import parse_address
        from vivavoce.transport.rtp import DRED_PAYLOAD_TYPE
        from vivavoce.transport.sdp import AudioDescription

        if listen is None and sdp is None:
            raise ValueError("--listen PORT or --sdp FILE has to say where the stream comes")
        opus_types = OPUS_PAYLOAD_TYPES if opus is None else (opus,)
        red_type, dred_type = RED_PAYLOAD_TYPE if red is None else red, DRED_PAYLOAD_TYPE if dred is None else dred
        host, port = None, 0
        if sdp is not None:
            try:
                description = AudioDescription.parse(sdp.read_text("utf-8", "replace"))
            except ValueError as error:
                raise VivavoceError(f"{sdp}: {error}") from None
            host, port = description.address, description.port
            rtcp_mux = rtcp_mux or description.rtcp_mux
            opus_types = (description.opus_payload_type,) if opus is None else opus_types
            if red is None and description.red_payload_type is not None:
                red_type = description.red_payload_type
            if dred is None and description.dred_payload_type is not None:
                dred_type = description.dred_payload_type
        if listen is not None:
            host, port = parse_address(listen, "--listen", rtcp_mux=rtcp_mux)
        return cls(host, port, rtcp_mux, {dred_type: "dred", red_type: "red"} | dict.fromkeys(opus_types, "opus"))


class _Session:
    """One stream on its way in: drives the receiver by the clock, and answers with RTCP.

    Attributes:
        stats: The receiver's counters when something was last heard, or at the end of a stream that ended.
        ended_by: "goodbye", "idle", "duration" or "interrupt".
        samples: Recorded.
        injected: RTP packets that came, and how many of them `--loss` took.
    """

    def __init__(
        self, receiver: Receiver, sockets: RtpSockets, network: Network, duration_s: float, idle_s: float
    ) -> None:
        self.receiver, self._network = receiver, network
        self.injected = {"packets": 0, "lost": 0}
        self.stats: ReceiverStats = receiver.stats
        self.ended_by = ""
        self.samples = 0
        self._sockets, self._duration_s, self._idle_s = sockets, duration_s, idle_s
        self._heard_samples = 0
        self._newest_arrival: float | None = None
        self._rtp_source: SocketAddress | None = None
        self._rtcp_source: tuple[SocketAddress, bool] | None = None

    def record(self, file: BinaryIO) -> None:
        """Play into an open file until something ends the session.

        Raises:
            VivavoceError: Nothing that could be played has come.
        """
        from vivavoce.cli.recording import Recording

        recording = Recording(file, self.receiver.sample_rate)
        try:
            self.ended_by = self._run(recording)
        except KeyboardInterrupt:
            self.ended_by = "interrupt"
        if not recording.samples:
            stats = self.receiver.stats
            came = stats.packets_of_unknown_type
            hint = f"; {came} packets had other payload types (--payload-type, --sdp)" if came else ""
            raise VivavoceError(f"no stream to play has come{hint}")
        if self.ended_by in ("idle", "goodbye"):  # what was played after the last packet is not part of the stream
            recording.finish(self._heard_samples)
        else:
            self.stats = self.receiver.stats
            recording.finish()
        self.samples = recording.samples

    def _run(self, recording: Recording) -> str:
        from vivavoce.cli.udp import clock

        began = clock()
        first_pull, pulls, report_at = began, 0, math.inf
        ended_at: float | None = None
        while True:
            started = self._newest_arrival is not None
            due = first_pull + pulls * PULL_S
            for arrival in self._sockets.wait(due if started else clock() + WAITING_S):
                self._take(arrival)
            now = clock()
            if not started:  # a peer may come long after us, and its call be short: the first report waits for it alone
                first_pull, report_at = now, now + REPORT_S / 2
            while first_pull + pulls * PULL_S <= now:
                self._play(recording, first_pull + pulls * PULL_S)
                pulls += 1
            if now >= report_at:
                self._report(now)
                report_at = now + REPORT_S * random.uniform(0.5, 1.5)
            if not self.receiver.ended:
                ended_at = None
            elif ended_at is None:
                ended_at = now
                self.stats, self._heard_samples = self.receiver.stats, recording.samples
            elif now - ended_at >= GOODBYE_S:
                return "goodbye"
            if now - began >= self._duration_s:
                return "duration"
            if self._newest_arrival is not None and now - self._newest_arrival >= self._idle_s:
                return "idle"

    def _take(self, arrival: Arrival) -> None:
        """Pass a datagram on; RTP only as far as the injected loss lets it."""
        from vivavoce.cli.udp import clock
        from vivavoce.transport.rtcp import is_rtcp

        if is_rtcp(arrival.datagram):
            self._rtcp_source = arrival.source, arrival.on_rtcp
            self.receiver.receive(arrival.datagram, clock())
            return
        arrivals = self._network.send(arrival.datagram, clock())
        self.injected["packets"] += 1
        self.injected["lost"] += self._network.lost.pop()  # taken out: a call may last for days
        for arrival_time, datagram in arrivals:
            self._rtp_source = arrival.source
            self._newest_arrival = arrival_time
            self.receiver.receive(datagram, arrival_time)

    def _play(self, recording: Recording, due: float) -> None:
        sound = self.receiver.playout(round(PULL_S * self.receiver.sample_rate), due)
        slots = self.receiver.drain_slots()
        if not slots and not recording.samples:
            return  # the recording begins with the stream, not with the wait for it
        recording.write(sound)
        if any(slot.source in HEARD for slot in slots):
            self._heard_samples = recording.samples + round(slots[-1].ticks / 48_000 * self.receiver.sample_rate)
            self.stats = self.receiver.stats

    def _report(self, now: float) -> None:
        """Answer where the peer's RTCP comes from; before it has sent any, next to where its RTP comes from."""
        from vivavoce.cli.udp import next_port

        sockets = self._sockets
        if self._rtcp_source is not None:
            destination, on_rtcp = self._rtcp_source
            out = sockets.rtcp if on_rtcp else sockets.rtp
        elif self._rtp_source is not None:
            out = sockets.rtcp
            destination = self._rtp_source if sockets.muxed else next_port(self._rtp_source)
        else:
            return
        try:
            out.sendto(self.receiver.report(now), destination)
        except (OSError, OverflowError):
            pass  # the next report may get through; and a peer on port 65535 has no neighbour


def _summary(session: _Session, sample_rate: int, *, adaptive: bool) -> dict[str, object]:
    receiver = session.receiver
    summary: dict[str, object] = {
        "duration_s": round(session.samples / sample_rate, 3),
        "sample_rate": sample_rate,
        "ended_by": session.ended_by,
        "injected": session.injected,
        "playout_delay_ms": round(receiver.playout_delay_ms, 3),
        "models": list(receiver.models),
    }
    if adaptive:
        changes = receiver.delay_changes
        summary["delay_changes"] = [[round(time - changes[0][0], 3), round(delay, 1)] for time, delay in changes]
    return session.stats.as_dict() | summary
