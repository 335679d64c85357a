import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parser_limits import assert_read_or_refused, attempt
from vivavoce.transport.sdp import AudioDescription

payload_types = st.lists(st.integers(0, 127), min_size=3, max_size=3, unique=True)
descriptions = st.builds(
    lambda types, red, dred, **fields: AudioDescription(
        opus_payload_type=types[0],
        red_payload_type=types[1] if red else None,
        dred_payload_type=types[2] if dred else None,
        **fields,
    ),
    types=payload_types,
    red=st.booleans(),
    dred=st.booleans(),
    address=st.ip_addresses().map(str).filter(lambda address: "%" not in address),
    port=st.integers(1, 65535),
    ptime_ms=st.none() | st.integers(1, 120),
    inband_fec=st.booleans(),
    dtx=st.booleans(),
    min_ptime_ms=st.none() | st.integers(1, 120),
    rtcp_mux=st.booleans(),
)

CHROME = """v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
m=video 9 UDP/TLS/RTP/SAVPF 96
c=IN IP4 0.0.0.0
a=rtpmap:96 VP8/90000
m=audio 50123 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 192.0.2.7
a=rtcp:9 IN IP4 0.0.0.0
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=sendrecv
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
a=ssrc:1 cname:x
"""

FFMPEG = """SDP:
v=0
o=- 0 0 IN IP6 ::1
s=No Name
c=IN IP6 ::1
t=0 0
a=tool:libavformat
m=audio 5004 RTP/AVP 97
b=AS:64
a=rtpmap:97 opus/48000/2
a=fmtp:97 sprop-stereo=1
"""


def test_chrome_would_write_these_lines():
    assert AudioDescription("192.0.2.7", 5004).serialize() == (
        "v=0\r\n"
        "o=- 0 0 IN IP4 192.0.2.7\r\n"
        "s=-\r\n"
        "c=IN IP4 192.0.2.7\r\n"
        "t=0 0\r\n"
        "m=audio 5004 RTP/AVP 111 63\r\n"
        "a=rtpmap:111 opus/48000/2\r\n"
        "a=fmtp:111 minptime=10;useinbandfec=1\r\n"
        "a=rtpmap:63 red/48000/2\r\n"
        "a=fmtp:63 111/111\r\n"
        "a=ptime:20\r\n"
        "a=rtcp-mux\r\n"
    )


def test_what_is_not_there_is_not_written():
    description = AudioDescription(
        "::1", 5004, 97, None, ptime_ms=None, inband_fec=False, min_ptime_ms=None, rtcp_mux=False
    )
    assert description.serialize() == (
        "v=0\r\no=- 0 0 IN IP6 ::1\r\ns=-\r\nc=IN IP6 ::1\r\nt=0 0\r\n"
        "m=audio 5004 RTP/AVP 97\r\na=rtpmap:97 opus/48000/2\r\n"
    )


@given(descriptions, st.sampled_from(["\r\n", "\n"]))
def test_what_is_written_is_read(description, ending):
    assert AudioDescription.parse(description.serialize().replace("\r\n", ending)) == description


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            CHROME,
            AudioDescription("192.0.2.7", 50123, ptime_ms=None),
            id="Chrome: several sections and payload types",
        ),
        pytest.param(
            FFMPEG,
            AudioDescription("::1", 5004, 97, None, ptime_ms=None, inband_fec=False, min_ptime_ms=None, rtcp_mux=False),
            id="FFmpeg: no RED, session address",
        ),
        pytest.param(
            "c=IN IP4 224.2.1.1/127\nm=audio 5004/2 RTP/AVP 0 96\na=RTPMAP:96 OPUS/48000/2\n"
            "a=fmtp:96 UseInbandFEC=1; usedtx=1\na=ptime:60",
            AudioDescription("224.2.1.1", 5004, 96, None, 60, dtx=True, min_ptime_ms=None, rtcp_mux=False),
            id="letters of any case, multicast, no final newline",
        ),
        pytest.param(
            "c=IN IP4 192.0.2.1\nm=audio 0 RTP/AVP 96\na=rtpmap:96 opus/48000/2\n"
            "m=audio 7000 RTP/AVP 97 98 99\na=rtpmap:97 red/48000/2\na=fmtp:97 0/0\n"
            "a=rtpmap:98 opus/48000/2\na=rtpmap:99 red/48000/2\na=fmtp:99 98/98/98",
            AudioDescription("192.0.2.1", 7000, 98, 99, None, False, False, None, False),
            id="a rejected section, and a RED around something else",
        ),
        pytest.param(
            "m=audio 7000 RTP/AVP 98\nc=IN IP6 2001:db8::1\na=rtpmap:98 opus/48000\nm=audio nonsense",
            AudioDescription("2001:db8::1", 7000, 98, None, None, False, False, None, False),
            id="what follows the section is not read",
        ),
    ],
)
def test_others_are_understood(text, expected):
    assert AudioDescription.parse(text) == expected


MEDIA = "c=IN IP4 192.0.2.1\nm=audio 5004 RTP/AVP 96\na=rtpmap:96 opus/48000/2\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "no audio section", id="empty"),
        pytest.param("v=0\nm=video 5004 RTP/AVP 96\n", "no audio section", id="video alone"),
        pytest.param("v=0\nm=audio 5004 RTP/AVP 0\n", "line 2: .* no port with opus", id="no Opus"),
        pytest.param("m=audio 5004 RTP/AVP 96\na=rtpmap:96 opus/16000/1", "line 1: .* opus/48000", id="clock"),
        pytest.param(MEDIA.replace("5004", "0"), "line 2: .* no port", id="rejected"),
        pytest.param("m=audio 5004\n", "line 1: m=audio needs a port", id="short m="),
        pytest.param("m=audio port RTP/AVP 96\n", "line 1: port must be in 0..65535, got 'port'", id="port"),
        pytest.param("m=audio 65536 RTP/AVP 96\n", "line 1: port .* '65536'", id="port too large"),
        pytest.param("m=audio ٥٠٠٤ RTP/AVP 96\n", "line 1: port", id="digits of another script"),
        pytest.param("m=audio 5004 RTP/AVP 128\n", "line 1: payload type must be in 0..127", id="payload type"),
        pytest.param("\n" + MEDIA + "a=fmtp:x y", "line 5: payload type .* got 'x'", id="fmtp"),
        pytest.param(MEDIA + "a=ptime:121", "line 4: ptime must be in 1..120, got '121'", id="ptime"),
        pytest.param(MEDIA + "a=fmtp:96 minptime=x", "line 4: minptime", id="minptime"),
        pytest.param(MEDIA.replace("IP4", "ATM"), "line 1: expected c=IN", id="network"),
        pytest.param(MEDIA.replace("192.0.2.1", "host.example"), "line 1: address must be an IPv4", id="host name"),
        pytest.param(MEDIA.replace("IP4 192.0.2.1", "IP6 fe80::1%eth0"), "line 1: address must be", id="zone"),
        pytest.param(MEDIA.partition("\n")[2], "line 1: neither .* has a c= line", id="no address"),
    ],
)
def test_a_fault_names_its_line(text, message):
    with pytest.raises(ValueError, match=message):
        AudioDescription.parse(text)


@given(st.text(max_size=80) | st.lists(st.sampled_from(CHROME.splitlines()), max_size=30).map("\n".join))
def test_any_text_is_read_or_refused(text):
    assert_read_or_refused(AudioDescription.parse, AudioDescription.serialize, text, ValueError)


@given(st.data())
def test_a_damaged_description_is_read_or_refused(data):
    text = list(CHROME)
    for _ in range(data.draw(st.integers(1, 4))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.characters() | st.sampled_from("=:/;\n 0129"))
    assert_read_or_refused(AudioDescription.parse, AudioDescription.serialize, "".join(text), ValueError)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"address": "nowhere"}, "address"),
        ({"address": "fe80::1%eth0"}, "address"),
        ({"port": 0}, "port"),
        ({"opus_payload_type": 128}, "opus_payload_type"),
        ({"red_payload_type": -1}, "red_payload_type"),
        ({"red_payload_type": 111}, "must differ"),
        ({"dred_payload_type": 63}, "must differ"),
        ({"dred_payload_type": 128}, "dred_payload_type"),
        ({"ptime_ms": 0}, "ptime_ms"),
        ({"min_ptime_ms": 121}, "min_ptime_ms"),
    ],
)
def test_what_cannot_be_described_is_named(fields, message):
    with pytest.raises(ValueError, match=message):
        AudioDescription(**{"address": "192.0.2.1", "port": 5004, **fields})


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("m=audio 0 RTP/AVP 96\n" * 50_000, id="sections"),
        pytest.param(MEDIA + "a=rtpmap:96 x\n" * 70_000, id="attributes"),
        pytest.param("m=audio 5004 RTP/AVP" + " 96" * 300_000, id="payload types"),
        pytest.param(MEDIA + "a=fmtp:96 " + "a=1;" * 250_000, id="parameters"),
        pytest.param("c=IN IP4 " + "1." * 500_000 + "\nm=audio 1 RTP/AVP 96\na=rtpmap:96 opus/48000/2", id="address"),
        pytest.param("m=audio " + "9" * 1_000_000 + " RTP/AVP 96", id="digits"),
        pytest.param("=" * 1_000_000, id="equals signs"),
        pytest.param("\n" * 1_000_000, id="lines"),
    ],
)
def test_a_megabyte_takes_linear_time(text):
    start = time.thread_time()
    attempt(AudioDescription.parse, text, ValueError)
    assert time.thread_time() - start < 2  # about 0.1 s; quadratic time would be minutes
