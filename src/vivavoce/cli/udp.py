"""The two UDP sockets of an RTP session, RTP on a port and RTCP on the next (RFC 3550 section 11), or both on one.

Where both share a port (`--rtcp-mux`, RFC 5761), `rtcp` is the same socket as `rtp`. Nothing here blocks for longer
than it is told, so that one thread serves the network and the clock of the sound.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, NamedTuple, Self

from vivavoce.errors import VivavoceError

MAX_DATAGRAM = 1 << 16  # more than UDP can carry: nothing is cut off that arrives whole
MAX_BURST = 256  # datagrams read before the clock gets its turn: five seconds of a call, so only a flood is cut
PAIR_ATTEMPTS = 50  # for two free neighbouring ports
clock = time.monotonic

SocketAddress = tuple[Any, ...]  # (host, port), and for IPv6 flow and scope


class Arrival(NamedTuple):
    """A datagram from the network.

    Attributes:
        datagram: Its bytes.
        source: Whence, as `socket.sendto` takes it.
        on_rtcp: It came to the RTCP socket.
    """

    datagram: bytes
    source: SocketAddress
    on_rtcp: bool


class RtpSockets:
    """The sockets of one session; a context manager that closes them.

    Args:
        rtp: Bound, for RTP.
        rtcp: Bound, for RTCP; may be `rtp` itself.
    """

    def __init__(self, rtp: socket.socket, rtcp: socket.socket) -> None:
        self.rtp, self.rtcp = rtp, rtcp
        self._selector = selectors.DefaultSelector()
        for each in {rtp, rtcp}:
            each.setblocking(False)
            self._selector.register(each, selectors.EVENT_READ)

    @property
    def muxed(self) -> bool:
        """Both kinds share a port."""
        return self.rtp is self.rtcp

    def wait(self, until: float) -> Iterator[Arrival]:
        """Sleep until something arrives or `clock` reads `until`; then yield what is there, at most `MAX_BURST`."""
        for key, _ in self._selector.select(max(0.0, until - clock())):
            for _ in range(MAX_BURST):
                try:
                    datagram, source = key.fileobj.recvfrom(MAX_DATAGRAM)  # type: ignore[union-attr]
                except BlockingIOError:
                    break
                except OSError:  # an ICMP error of an earlier sendto, which some systems report here
                    continue
                yield Arrival(datagram, source, on_rtcp=key.fileobj is self.rtcp)

    def close(self) -> None:
        """Give the ports back."""
        self._selector.close()
        self.rtp.close()
        self.rtcp.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def listen(host: str | None, port: int, *, rtcp_mux: bool) -> RtpSockets:
    """Open the ports of a receiver.

    Args:
        host: Address or name of one interface; None: all, IPv4 and IPv6.
        port: Of RTP.
        rtcp_mux: RTCP shares it.

    Raises:
        VivavoceError: A port is taken, or the host is none of ours.
    """
    family, address = resolve(host or ("::" if socket.has_dualstack_ipv6() else "0.0.0.0"), port)
    rtp = _bound(family, address, dual_stack=host is None)
    if rtcp_mux:
        return RtpSockets(rtp, rtp)
    try:
        return RtpSockets(rtp, _bound(family, next_port(address), dual_stack=host is None))
    except VivavoceError as error:
        rtp.close()
        raise VivavoceError(f"{error}, which RTCP needs; --rtcp-mux does with one port") from None


def open_towards(family: socket.AddressFamily, *, rtcp_mux: bool) -> RtpSockets:
    """Open the ports of a sender: any free one, and its neighbour for RTCP.

    Raises:
        VivavoceError: There are no free ports.
    """
    wildcard = "::" if family == socket.AF_INET6 else ""
    for _ in range(PAIR_ATTEMPTS):
        rtp = _bound(family, (wildcard, 0))
        if rtcp_mux:
            return RtpSockets(rtp, rtp)
        try:
            return RtpSockets(rtp, _bound(family, (wildcard, rtp.getsockname()[1] + 1)))
        except (VivavoceError, OverflowError):
            rtp.close()
    raise VivavoceError("no two free neighbouring UDP ports for RTP and RTCP; --rtcp-mux does with one")


def parse_address(text: str, option: str, *, rtcp_mux: bool) -> tuple[str | None, int]:
    """Read HOST:PORT, [IPV6]:PORT or PORT.

    Returns:
        The host, or None where there is only a port; and the port.

    Raises:
        ValueError: It has none of these forms, or the port is out of range; the message names the option.
    """
    host, colon, port_text = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"{option}: an IPv6 address stands in brackets, as in [::1]:5004; got {text!r}")
    if colon and not host:
        raise ValueError(f"{option}: expected HOST:PORT, got {text!r}")
    last = 65_535 if rtcp_mux else 65_534  # RTCP has the next one
    if not (port_text.isascii() and port_text.isdigit() and len(port_text) <= 5 and 1 <= int(port_text) <= last):
        raise ValueError(f"{option}: the port must be between 1 and {last}, got {port_text[:20]!r}")
    return host or None, int(port_text)


def resolve(host: str, port: int) -> tuple[socket.AddressFamily, SocketAddress]:
    """The first UDP address of a host.

    Raises:
        VivavoceError: It has none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "no host name"
        raise VivavoceError(f"the host {host!r} cannot be found: {reason}") from None
    family, _, _, _, address = found[0]
    return family, address


def next_port(address: SocketAddress) -> SocketAddress:
    """The neighbour of an address, where RTCP lives (RFC 3550 section 11)."""
    return (address[0], address[1] + 1, *address[2:])


def _bound(family: socket.AddressFamily, address: SocketAddress, *, dual_stack: bool = False) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if dual_stack and family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.bind(address)
    except OSError as error:
        bound.close()
        reason = error.strerror or error
        raise VivavoceError(f"cannot listen on UDP port {address[1]} of {address[0]}: {reason}") from None
    return bound
