"""The SDP of one Opus stream (RFC 8866, RFC 7587 section 7), with RED as Chrome offers it.

Writing gives the lines that GStreamer, FFmpeg and browsers want. Reading is tolerant: it takes the first audio section
that has Opus and a port, and ignores every line that it does not need. Text from a file is no packet from the network,
so a fault is a ValueError with the number of the line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address

from vivavoce.transport.rtp import OPUS_CLOCK_HZ

DRED_ENCODING = "vnd.vivavoce.dred"
_MAX_PTIME_MS = 120  # the longest Opus packet


@dataclass(frozen=True)
class AudioDescription:
    """Where an Opus stream goes, and what its payload types are.

    Args:
        address: IPv4 or IPv6 address.
        port: UDP port of RTP, 1 to 65535.
        opus_payload_type: 0 to 127; Chrome uses 111.
        red_payload_type: Of RFC 2198 around Opus; Chrome uses 63. None: no RED.
        dred_payload_type: Of blocks of deep redundancy inside RED; None: it comes in the padding of Opus, or not.
        ptime_ms: Duration of a packet, 1 to 120; None leaves it unsaid.
        inband_fec: The receiver makes use of LBRR.
        dtx: The receiver prefers silence not to be sent.
        min_ptime_ms: Shortest packet that the receiver wants; None leaves it unsaid.
        rtcp_mux: RTCP comes to the same port (RFC 5761).

    Raises:
        ValueError: A field is out of its range.
    """

    address: str
    port: int
    opus_payload_type: int = 111
    red_payload_type: int | None = 63
    ptime_ms: int | None = 20
    inband_fec: bool = True
    dtx: bool = False
    min_ptime_ms: int | None = 10
    rtcp_mux: bool = True
    dred_payload_type: int | None = None

    def __post_init__(self) -> None:
        _address(self.address)
        _check_range("port", self.port, 1, 65535)
        _check_range("opus_payload_type", self.opus_payload_type, 0, 127)
        more = {"red_payload_type": self.red_payload_type, "dred_payload_type": self.dred_payload_type}
        used = {self.opus_payload_type: "opus_payload_type"}
        for name, value in more.items():
            if value is None:
                continue
            _check_range(name, value, 0, 127)
            if value in used:
                raise ValueError(f"{used[value]} and {name} must differ, got {value} twice")
            used[value] = name
        for name, value in (("ptime_ms", self.ptime_ms), ("min_ptime_ms", self.min_ptime_ms)):
            if value is not None:
                _check_range(name, value, 1, _MAX_PTIME_MS)

    def serialize(self) -> str:
        """Write the session description, with CRLF."""
        opus, red, dred = self.opus_payload_type, self.red_payload_type, self.dred_payload_type
        network = f"IN IP{ip_address(self.address).version} {self.address}"
        lines = ["v=0", f"o=- 0 0 {network}", "s=-", f"c={network}", "t=0 0"]
        types = " ".join(str(each) for each in (opus, red, dred) if each is not None)
        lines.append(f"m=audio {self.port} RTP/AVP {types}")
        lines.append(f"a=rtpmap:{opus} opus/{OPUS_CLOCK_HZ}/2")
        parameters = [f"minptime={self.min_ptime_ms}"] * (self.min_ptime_ms is not None)
        parameters += ["useinbandfec=1"] * self.inband_fec + ["usedtx=1"] * self.dtx
        if parameters:
            lines.append(f"a=fmtp:{opus} " + ";".join(parameters))
        if red is not None:
            lines += [f"a=rtpmap:{red} red/{OPUS_CLOCK_HZ}/2", f"a=fmtp:{red} {opus}/{opus}"]
        if dred is not None:
            lines.append(f"a=rtpmap:{dred} {DRED_ENCODING}/{OPUS_CLOCK_HZ}")
        if self.ptime_ms is not None:
            lines.append(f"a=ptime:{self.ptime_ms}")
        if self.rtcp_mux:
            lines.append("a=rtcp-mux")
        return "".join(f"{line}\r\n" for line in lines)

    @classmethod
    def parse(cls, text: str) -> AudioDescription:
        """Read a session description.

        Raises:
            ValueError: It has no audio section with Opus, or a line that is needed is malformed; the message gives the
                number of the line.
        """
        last_line = 0
        for section in _audio_sections(text):
            last_line = section.line
            if section.port and (opus := section.opus()) is not None:
                return _described(section, opus)
        where = f"SDP line {last_line}: the audio section has" if last_line else "SDP: no audio section, and"
        raise ValueError(f"{where} no port with opus/{OPUS_CLOCK_HZ}")


@dataclass
class _Section:
    """An m=audio section; each attribute keeps the number of its line. The first attribute of a kind counts."""

    line: int
    port: int
    payload_types: list[int]
    address: tuple[int, str] | None
    rtpmap: dict[int, tuple[int, str]] = field(default_factory=dict)
    fmtp: dict[int, tuple[int, str]] = field(default_factory=dict)
    ptime: tuple[int, str] | None = None
    rtcp_mux: bool = False

    def opus(self) -> int | None:
        return next(self._of_codec("opus"), None)

    def red(self, opus: int) -> int | None:
        """Find the RED around this Opus: its fmtp, where there is one, begins with the payload type of Opus."""
        for payload_type in self._of_codec("red"):
            _, blocks = self.fmtp.get(payload_type, (0, str(opus)))
            if blocks.partition("/")[0].strip() == str(opus):
                return payload_type
        return None

    def dred(self) -> int | None:
        return next(self._of_codec(DRED_ENCODING), None)

    def _of_codec(self, name: str) -> Iterator[int]:
        for payload_type in self.payload_types:
            encoding, _, clock = self.rtpmap.get(payload_type, (0, ""))[1].strip().partition("/")
            if encoding.lower() == name and clock.partition("/")[0] == str(OPUS_CLOCK_HZ):
                yield payload_type


def _described(section: _Section, opus: int) -> AudioDescription:
    if section.address is None:
        raise ValueError(f"SDP line {section.line}: neither the audio section nor the session has a c= line")
    line, words = section.fmtp.get(opus, (0, ""))
    pairs = (word.partition("=") for word in words.split(";"))
    parameters = {name.strip().lower(): value.strip() for name, _, value in pairs}
    min_ptime = parameters.get("minptime")
    return AudioDescription(
        address=_connection(*section.address),
        port=section.port,
        opus_payload_type=opus,
        red_payload_type=section.red(opus),
        ptime_ms=None if section.ptime is None else _number(*section.ptime, 1, _MAX_PTIME_MS, "ptime"),
        inband_fec=parameters.get("useinbandfec") == "1",
        dtx=parameters.get("usedtx") == "1",
        min_ptime_ms=None if min_ptime is None else _number(line, min_ptime, 1, _MAX_PTIME_MS, "minptime"),
        rtcp_mux=section.rtcp_mux,
        dred_payload_type=section.dred(),
    )


def _audio_sections(text: str) -> Iterator[_Section]:
    """Collect the audio sections in order; an earlier one is complete when a later one begins."""
    session_address: tuple[int, str] | None = None
    section: _Section | None = None
    in_session = True
    for number, line in enumerate(text.split("\n"), start=1):
        kind, equals, value = line.rstrip("\r").partition("=")
        if not equals:
            continue
        if kind == "m":
            if section is not None:
                yield section
            in_session = False
            section = _audio_section(number, value, session_address)
        elif kind == "c" and in_session:
            session_address = session_address or (number, value)
        elif section is not None and kind == "c":
            # The section's own address replaces the session's; of several only the first counts.
            section.address = section.address if section.address != session_address else (number, value)
        elif section is not None and kind == "a":
            _take_attribute(section, number, value)
    if section is not None:
        yield section


def _audio_section(number: int, value: str, address: tuple[int, str] | None) -> _Section | None:
    media, *rest = value.split() or [""]
    if media != "audio":
        return None
    if len(rest) < 3:
        raise ValueError(f"SDP line {number}: m=audio needs a port, a protocol and payload types")
    port = _number(number, rest[0].partition("/")[0], 0, 65535, "port")
    return _Section(number, port, [_number(number, word, 0, 127, "payload type") for word in rest[2:130]], address)


def _take_attribute(section: _Section, number: int, value: str) -> None:
    name, _, rest = value.partition(":")
    name = name.strip().lower()
    if name in ("rtpmap", "fmtp"):
        word, _, rest = rest.strip().partition(" ")
        payload_type = _number(number, word, 0, 127, "payload type")
        (section.rtpmap if name == "rtpmap" else section.fmtp).setdefault(payload_type, (number, rest))
    elif name == "ptime" and section.ptime is None:
        section.ptime = (number, rest.strip())
    elif name == "rtcp-mux":
        section.rtcp_mux = True


def _connection(number: int, value: str) -> str:
    """Take the address from "IN IP4 192.0.2.1/127", where the part after the slash is a multicast TTL."""
    words = value.split()
    if len(words) != 3 or words[0] != "IN" or words[1] not in ("IP4", "IP6"):
        raise ValueError(f"SDP line {number}: expected c=IN IP4 or IP6 and an address, got {value[:80]!r}")
    try:
        return _address(words[2].partition("/")[0])
    except ValueError as error:
        raise ValueError(f"SDP line {number}: {error}") from None


def _address(text: str) -> str:
    if "%" not in text:  # a zone such as fe80::1%eth0 has a meaning on one host alone
        try:
            ip_address(text)
            return text
        except ValueError:
            pass
    raise ValueError(f"address must be an IPv4 or IPv6 address, got {text[:80]!r}")


def _number(line: int, text: str, low: int, high: int, what: str) -> int:
    # int() would also take other scripts' digits and underscores, and a million digits slowly.
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and low <= int(text) <= high):
        raise ValueError(f"SDP line {line}: {what} must be in {low}..{high}, got {text[:20]!r}")
    return int(text)


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} must be in {low}..{high}, got {value}")
