import importlib
import io
import json
import signal
import socket
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from likeness import SAME_DB, band_distance_db
from vivavoce.cli import main
from vivavoce.cli.recording import Recording
from vivavoce.cli.udp import open_towards, parse_address
from vivavoce.errors import VivavoceError
from vivavoce.transport.sdp import AudioDescription
from vivavoce.transport.sender import Sender

receive_module = importlib.import_module("vivavoce.cli.receive")
SPEECH_S = 2.5
PATIENCE_S = 60  # a process that takes longer is stuck


@pytest.fixture(scope="module")
def clip(tmp_path_factory, speech_16k):
    path = tmp_path_factory.mktemp("clip") / "clip.wav"
    soundfile.write(path, speech_16k[: round(16_000 * SPEECH_S)], 16_000)
    return path


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command in this process: (exit status, stdout, stderr)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["vivavoce", *map(str, arguments)])
        before = signal.getsignal(signal.SIGTERM)
        try:
            with pytest.raises(SystemExit) as exit_:
                main()
        finally:
            signal.signal(signal.SIGTERM, before)
        return exit_.value.code, *capsys.readouterr()

    return run


class Call:
    """A running `vivavoce receive`, and its `vivavoce send`."""

    def __init__(self, command, ports, clip, folder, *, send=(), receive=(), host="127.0.0.1", delay_ms=300):
        self.path = folder / "heard.wav"
        self.port = ports.free()
        place = f"{host}:{self.port}"
        arguments = ["--listen", place, "--json", "--playout-delay", delay_ms, *receive]
        self.receiver = command.vivavoce("receive", self.path, *arguments)
        ports.wait_until_taken(self.port)
        self.sender = command.vivavoce("send", clip, "--to", place, "--json", *send)

    def finish(self):
        """Wait for both ends; what they print."""
        outputs = {}
        for name, process in (("send", self.sender), ("receive", self.receiver)):
            out, err = process.communicate(timeout=PATIENCE_S)
            assert process.returncode == 0, f"{name}: {err}"
            assert out.count("\n") == 1
            outputs[name] = json.loads(out)
        self.sent, self.received = outputs["send"], outputs["receive"]
        self.sound, self.rate = soundfile.read(self.path, dtype="float32")
        return self

    def distance_db(self, clip):
        distance, share = band_distance_db(self.sound, self.rate, soundfile.read(clip, dtype="float32")[0])
        assert share > 0.95
        return distance


PATIENT = ("--playout-delay", 600)  # five calls at once begin slowly where there are two cores
LOSSY = ("--loss", "20%", "--seed", 3)
CODEC = ("--sample-rate", 16_000, "--bitrate")
CALLS = {  # the primary has about 32 kb/s in each of the first three, so that only losses and their repair differ
    "clean": {"send": (*CODEC, 32_000), "receive": PATIENT},
    "lossy": {"send": (*CODEC, 32_000), "receive": LOSSY},
    "protected": {"send": (*CODEC, 100_000, "--protect", "red:1,2"), "receive": LOSSY},
    "described": {
        "send": (*CODEC, 60_000, "--protect", "dred", "--expect-loss", 20, "--dred-blocks"),
        "receive": (*LOSSY, *PATIENT),
    },
    "other": {
        "send": ("--rtcp-mux", "--frame-ms", 60, "--bitrate", 40_000, "--sample-rate", 16_000, "--protect", "lbrr"),
        "receive": ("--rtcp-mux", "--sample-rate", 16_000, *PATIENT),
        "host": "[::1]",
    },
}


@pytest.fixture(scope="module")
def calls(module_command, ports, clip, tmp_path_factory):
    """Calls in real time, side by side."""
    running = {}
    for name, settings in CALLS.items():
        if name == "other" and not socket.has_dualstack_ipv6():
            settings = settings | {"host": "127.0.0.1"}
        running[name] = Call(module_command, ports, clip, tmp_path_factory.mktemp(name), **settings)
    return {name: call.finish() for name, call in running.items()}


@pytest.mark.parametrize("name", ["clean", "protected", "other"])
def test_what_was_sent_is_heard(calls, clip, name):
    assert calls[name].distance_db(clip) < SAME_DB


def test_descriptions_of_the_past_fill_the_gaps(calls, clip):
    call = calls["described"]
    assert call.received["injected"]["lost"] > 10
    assert call.received["slots"]["dred"] > 0.7 * call.received["injected"]["lost"]
    assert call.sent["redundancy"]["dred"]["covered_ms"] > 40
    assert call.distance_db(clip) < calls["lossy"].distance_db(clip)


def test_protection_repairs_the_injected_loss_and_its_absence_is_heard(calls, clip):
    lossy, protected = calls["lossy"], calls["protected"]
    for call in (lossy, protected):
        injected = call.received["injected"]
        assert injected["packets"] == call.sent["packets_sent"]
        assert 0.1 < injected["lost"] / injected["packets"] < 0.35
    assert lossy.received["slots"]["plc"] > 10
    assert protected.received["slots"]["red"] > 10
    assert protected.received["slots"].get("plc", 0) <= 4
    assert lossy.distance_db(clip) > protected.distance_db(clip) + 0.7


@pytest.mark.parametrize("name", ["clean", "other"])
def test_a_call_without_loss_plays_every_slot_once_and_ends_with_its_goodbye(calls, name):
    call = calls[name]
    assert call.received["slots"] == {"primary": round(50 * call.sent["duration_s"])}
    assert call.received["ended_by"] == "goodbye"
    assert call.received["packets_received"] == call.sent["packets_sent"]
    assert call.received["concealed_samples"] == 0
    # the whole stream to its last sample, in a file as long as it says
    assert call.received["duration_s"] == pytest.approx(call.sent["duration_s"], abs=0.0201)
    assert call.received["duration_s"] >= call.sent["duration_s"]
    assert len(call.sound) / call.rate == call.received["duration_s"]


@pytest.mark.parametrize("name", CALLS)
def test_the_sender_hears_the_reports_of_the_receiver(calls, name):
    sent = calls[name].sent
    assert sent["reports_received"] >= 1
    assert sent["round_trip_time"] is None or 0 <= sent["round_trip_time"] < 1
    if name in ("clean", "other"):
        assert sent["expected_loss_pct"] == 0  # it was 10 until the first report
    else:
        assert sent["fraction_lost"] > 0.03


def test_the_first_report_is_timed_by_the_stream_not_by_the_wait_for_it(run, clip, ports, tmp_path, monkeypatch):
    monkeypatch.setattr(receive_module.random, "uniform", lambda low, high: high)
    port, waits_s = ports.free(), []

    def call_late(sockets, packets):
        ports.wait_until_taken(port)
        time.sleep(1.2 * receive_module.REPORT_S / 2)
        began = time.monotonic()
        for packet in packets:
            sockets.rtp.sendto(packet, ("127.0.0.1", port))
            waits_s.extend(time.monotonic() - began for _ in sockets.wait(time.monotonic() + 0.02))

    with open_towards(socket.AF_INET, rtcp_mux=False) as sockets:
        caller = threading.Thread(target=call_late, args=(sockets, packets_of(clip, 100)))
        caller.start()
        status, _, err = run("receive", tmp_path / "heard.wav", "--listen", f"127.0.0.1:{port}", "--idle", 0.5)
        caller.join()
    assert status == 0, err
    assert len(waits_s) == 1
    assert waits_s[0] == pytest.approx(receive_module.REPORT_S / 2, abs=0.5)


def test_ctrl_c_leaves_a_whole_file(command, ports, clip, tmp_path):
    call = Call(command, ports, clip, tmp_path, send=("--loop",), delay_ms=100)
    time.sleep(1.0)  # at least this long until both have started, then a second of sound
    deadline = time.monotonic() + PATIENCE_S
    while not list(tmp_path.glob("*.partial")) or next(tmp_path.glob("*.partial")).stat().st_size < 96_000:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not call.path.exists(), "the file appears when it is whole"
    call.receiver.send_signal(signal.SIGINT)
    call.sender.send_signal(signal.SIGINT)
    call.finish()
    assert call.received["ended_by"] == "interrupt"
    assert len(call.sound) / call.rate == call.received["duration_s"] >= 0.5
    assert [path.name for path in tmp_path.iterdir()] == ["heard.wav"]


def packets_of(clip, count, **settings):
    sender = Sender(sample_rate=16_000, expected_loss_pct=0, **settings)
    samples = soundfile.read(clip, dtype="float32")[0]
    size = sender.frame_samples
    return [packet for at in range(count) for packet in sender.send(samples[at * size : (at + 1) * size])]


@pytest.fixture
def send_in_time():
    """Send datagrams every 20 ms."""
    with socket.socket(type=socket.SOCK_DGRAM) as out:

        def send(packets, port):
            for packet in packets:
                out.sendto(packet, ("127.0.0.1", port))
                time.sleep(0.02)

        yield send


def test_a_stream_that_falls_silent_is_recorded_to_its_last_packet(command, ports, clip, tmp_path, send_in_time):
    path, port = tmp_path / "heard.wav", ports.free()
    receiver = command.vivavoce("receive", path, "--listen", f"127.0.0.1:{port}", "--idle", 0.8, "--json")
    ports.wait_until_taken(port)
    junk = [b"", b"\x80", b"\xff" * 60_000, bytes(12), b"\x80\x6f" + bytes(9), b"\x80\xc8\x00\x06" * 3]
    send_in_time(junk + packets_of(clip, 40, payload_type=97), port)
    out, err = receiver.communicate(timeout=PATIENCE_S)
    assert receiver.returncode == 0, err
    found = json.loads(out)
    assert found["ended_by"] == "idle"
    assert 0.7 < soundfile.info(path).duration <= 0.9
    assert found["packets_received"] == 40
    assert found["slots"]["primary"] >= 38
    assert found["slots"].get("plc", 0) <= 2


def test_foreign_payload_types_are_named_when_nothing_else_came(command, ports, clip, tmp_path, send_in_time):
    path, port = tmp_path / "heard.wav", ports.free()
    receiver = command.vivavoce("receive", path, "--listen", port, "--duration", 1)
    ports.wait_until_taken(port)
    send_in_time(packets_of(clip, 5, payload_type=120), port)
    _, err = receiver.communicate(timeout=PATIENCE_S)
    assert receiver.returncode == 1
    assert err == ("vivavoce: no stream to play has come; 5 packets had other payload types (--payload-type, --sdp)\n")
    assert list(tmp_path.iterdir()) == []


def test_the_description_tells_the_receiver_what_the_options_leave_open(tmp_path):
    description = AudioDescription("127.0.0.1", 5004, opus_payload_type=120, red_payload_type=121, rtcp_mux=True)
    path = tmp_path / "stream.sdp"
    path.write_text(description.serialize())
    chosen = receive_module._Place.chosen
    place = chosen(None, path, rtcp_mux=False, opus=None, red=None, dred=None)
    assert (place.host, place.port, place.rtcp_mux) == ("127.0.0.1", 5004, True)
    assert place.payload_types == {118: "dred", 120: "opus", 121: "red"}
    place = chosen("6000", path, rtcp_mux=False, opus=100, red=None, dred=None)
    assert (place.host, place.port) == (None, 6000)
    assert place.payload_types == {118: "dred", 100: "opus", 121: "red"}
    described = replace(description, dred_payload_type=0)
    path.write_text(described.serialize())
    assert chosen(None, path, rtcp_mux=False, opus=None, red=None, dred=None).payload_types[0] == "dred"
    assert chosen(None, path, rtcp_mux=False, opus=None, red=None, dred=99).payload_types[99] == "dred"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("5004", (None, 5004), id="port alone"),
        pytest.param("example.org:5004", ("example.org", 5004), id="name"),
        pytest.param("[::1]:5004", ("::1", 5004), id="IPv6"),
    ],
)
def test_places_are_read(text, expected):
    assert parse_address(text, "--to", rtcp_mux=False) == expected


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        pytest.param(("send", "{clip}", "--to", "localhost:0"), 2, "between 1 and 65534, got '0'", id="port 0"),
        pytest.param(("send", "{clip}", "--to", "localhost:65535"), 2, "between 1 and 65534", id="no RTCP port"),
        pytest.param(("send", "{clip}", "--to", "localhost:rtp"), 2, "got 'rtp'", id="no number"),
        pytest.param(("send", "{clip}", "--to", "::1:5004"), 2, "stands in brackets", id="bare IPv6"),
        pytest.param(("send", "{clip}", "--to", "5004"), 2, "expected HOST:PORT, got '5004'", id="no host"),
        pytest.param(("send", "{clip}", "--to", "no-such-host.invalid:5004"), 1, "cannot be found", id="no such host"),
        pytest.param(("send", "{clip}", "--to", "a" * 70 + ".invalid:5004"), 1, "cannot be found", id="no host name"),
        pytest.param(("send", "{clip}.ogg", "--to", "localhost:5004"), 1, "No such file", id="no input"),
        pytest.param(
            ("send", "{clip}", "--to", "localhost:5004", "--frame-ms", 15), 2, "frame_ms", id="frame of 15 ms"
        ),
        pytest.param(("send", "{clip}", "--to", "localhost:5004", "--protect", "red:0"), 2, "RED", id="protection"),
        pytest.param(("send", "{clip}", "--to", "localhost:5004", "--sdp", "{clip}"), 1, "exists", id="SDP exists"),
        pytest.param(("receive", "{new}", "--listen", "{taken}"), 1, "in use", id="port in use"),
        pytest.param(("receive", "{new}", "--listen", "{below}"), 1, "which RTCP needs", id="RTCP port in use"),
        pytest.param(("receive", "{new}", "--listen", "192.0.2.1:5004"), 1, "192.0.2.1", id="not our address"),
        pytest.param(
            (
                "receive",
                "{new}",
            ),
            2,
            "--listen PORT or --sdp FILE",
            id="no place",
        ),
        pytest.param(("receive", "{new}", "--sdp", "{clip}"), 1, "SDP", id="no SDP"),
        pytest.param(("receive", "{new}", "--listen", "5004", "--idle", "0"), 2, "--idle", id="no patience"),
        pytest.param(
            ("receive", "{new}", "--listen", "5004", "--duration", "nan"), 2, "--duration", id="no number of s"
        ),
        pytest.param(("receive", "{new}", "--listen", "5004", "--conceal", "magic"), 2, "magic", id="no concealer"),
        pytest.param(("receive", "{clip}", "--listen", "5004"), 1, "exists already; --force", id="output exists"),
        pytest.param(("receive", "-", "--listen", "5004", "--json"), 2, "both want stdout", id="stdout twice"),
    ],
)
def test_what_cannot_be_done_is_one_line(run, clip, ports, tmp_path, arguments, status, message):
    with socket.socket(type=socket.SOCK_DGRAM) as holder:
        below = ports.free()
        holder.bind(("127.0.0.1", below + 1))
        words = {
            "clip": clip,
            "new": tmp_path / "new.wav",
            "taken": f"127.0.0.1:{below + 1}",
            "below": f"127.0.0.1:{below}",
        }
        found, out, err = run(*(str(argument).format(**words) for argument in arguments))
    assert found == status
    assert out == ""
    assert err.startswith("vivavoce: ")
    assert err.count("\n") == 1
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_frames_go_out_by_the_clock_and_reports_between_them(run, clip, ports, tmp_path):
    sdp = tmp_path / "stream.sdp"
    with open_towards(socket.AF_INET, rtcp_mux=False) as sockets:
        port = sockets.rtp.getsockname()[1]
        began = time.monotonic()
        status, out, _ = run("send", clip, "--to", f"127.0.0.1:{port}", "--sdp", sdp, "--protect", "red:1", "--json")
        took = time.monotonic() - began
        arrivals = [arrival for _ in range(3) for arrival in sockets.wait(time.monotonic() + 0.1)]
    sent = json.loads(out)
    assert status == 0
    assert sent["duration_s"] <= took  # never faster than it sounds
    kinds = {arrival.datagram[1] & 0x7F for arrival in arrivals if not arrival.on_rtcp}
    assert kinds == {63}
    assert sum(not arrival.on_rtcp for arrival in arrivals) == sent["packets_sent"] == round(sent["duration_s"] * 50)
    reports = [arrival.datagram for arrival in arrivals if arrival.on_rtcp]
    assert len(reports) >= 2
    assert [203 in report[1::4] for report in reports][-1], "the last one says goodbye"
    description = AudioDescription.parse(sdp.read_text())
    assert (description.port, description.red_payload_type, description.opus_payload_type) == (port, 63, 111)


@pytest.mark.parametrize("cut", [None, 100], ids=["whole", "cut"])
def test_a_recording_is_a_wav_of_what_was_written(cut):
    file = io.BytesIO()
    recording = Recording(file, 16_000)
    ramp = np.linspace(-1.5, 1.5, 400, dtype=np.float32)
    for at in range(0, 400, 160):
        recording.write(ramp[at : at + 160])
    recording.finish(cut)
    file.seek(0)
    samples, rate = soundfile.read(file, dtype="float32")
    assert rate == 16_000
    assert recording.samples == len(samples) == (cut or 400)
    np.testing.assert_allclose(samples, np.clip(ramp, -1, 32_767 / 32_768)[: len(samples)], atol=1 / 65_536 + 1e-7)


def test_a_recording_into_a_pipe_can_be_read_to_its_end():
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    pipe = Pipe()
    recording = Recording(pipe, 16_000)
    recording.write(np.full(160, 0.25, np.float32))
    recording.finish()
    data = pipe.getvalue()
    assert len(data) == 44 + 320
    assert soundfile.read(io.BytesIO(data))[0] == pytest.approx(np.full(160, 0.25))


def test_ports_are_given_back(ports):
    port = ports.free()
    for _ in range(2):
        with open_towards(socket.AF_INET, rtcp_mux=True) as sockets:
            assert sockets.muxed
    from vivavoce.cli.udp import listen

    with listen("127.0.0.1", port, rtcp_mux=False), pytest.raises(VivavoceError, match="cannot listen"):
        listen("127.0.0.1", port, rtcp_mux=False)
    listen("127.0.0.1", port, rtcp_mux=False).close()
