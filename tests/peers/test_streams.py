"""Calls with GStreamer and FFmpeg in real time over loopback, both ways: what one sends the other plays.

All calls of a direction run side by side, as most of their time is waiting.
"""

import json
import select
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile

from likeness import SAME_DB, band_distance_db

pytestmark = pytest.mark.peer

SPEECH_S = 2.5
PATIENCE_S = 30  # a process that takes longer is stuck
FLUSH_S = 1.0  # what a peer's jitter buffer still holds when the stream is over
AT_ONCE = 4
DROPPED_EVERY = 5  # of the packets on their way to GStreamer's RED decoder: it has one copy of each

SOURCE = (
    "filesrc location={clip} ! wavparse ! audioconvert ! audioresample ! audio/x-raw,rate=48000,channels=1 ! opusenc "
)
CAPS = "application/x-rtp,media=audio,clock-rate=48000,encoding-name=OPUS,payload=111"
SINK = (
    "rtpjitterbuffer ! rtpopusdepay ! opusdec ! audioconvert ! audio/x-raw,format=S16LE,channels=1 ! "
    "wavenc ! filesink location={heard}"
)
ELEMENTS = ("opusenc", "opusdec", "rtpopuspay", "rtpopusdepay", "rtpredenc", "rtpreddec", "rtpjitterbuffer", "udpsrc")

# name: what the peer runs, and the further options of our receiver
SENDERS = {
    "gstreamer": (SOURCE + "! rtpopuspay ! udpsink host=127.0.0.1 port={port}", ()),
    "gstreamer-dtx": (
        SOURCE + "dtx=true audio-type=voice bitrate=32000 ! rtpopuspay dtx=true ! udpsink host=127.0.0.1 port={port}",
        (),
    ),
    "gstreamer-red": (
        SOURCE + "! rtpopuspay pt=111 ! rtpredenc pt=63 distance=1 ! udpsink host=127.0.0.1 port={port}",
        ("--loss", "20%", "--seed", 1),
    ),
    "ffmpeg": ("-re -i {clip} -c:a libopus -b:a 32k -f rtp rtp://127.0.0.1:{port}", ()),
}

# name: what the peer runs, and the further options of our sender
PLAYERS = {
    "gstreamer": (f"udpsrc port={{port}} caps={CAPS} ! {SINK}", ()),
    "gstreamer-red": (f"udpsrc port={{port}} caps={CAPS} ! rtpreddec pt=63 ! {SINK}", ("--protect", "red:1")),
    "gstreamer-sdp": (f"filesrc location={{sdp}} ! sdpdemux ! {SINK.partition(' ! ')[2]}", ("--rtcp-mux",)),
    "ffmpeg": ("-protocol_whitelist file,udp,rtp -i {sdp} {heard}", ("--protect", "lbrr")),
}


def peer_command(peer, name, text, **words):
    """The peer's command line; elements and options become words of their own."""
    arguments = [word.format(**words) for word in text.split()]
    if name.startswith("gstreamer"):
        return [peer.gstreamer(*ELEMENTS), "-q", "-e", *arguments]
    return [peer.program("ffmpeg", "ffmpeg"), "-v", "error", "-y", *arguments]


@pytest.fixture(scope="module")
def clip(tmp_path_factory, speech_16k):
    path = tmp_path_factory.mktemp("clip") / "clip.wav"
    soundfile.write(path, speech_16k[: round(16_000 * SPEECH_S)], 16_000)
    return path


def until(come, process):
    """Wait for what a running process brings about."""
    deadline = time.monotonic() + PATIENCE_S
    while not come():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def heard_distance_db(path, clip):
    sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return band_distance_db(sound.mean(axis=1), rate, soundfile.read(clip, dtype="float32")[0])


class Relay(threading.Thread):
    """Passes datagrams on to a port, save every so many."""

    def __init__(self, to, dropped_every):
        super().__init__(daemon=True)
        self._in, self._to, self._dropped_every = socket.socket(type=socket.SOCK_DGRAM), to, dropped_every
        self._in.bind(("127.0.0.1", 0))
        self.port = self._in.getsockname()[1]
        self._running = True

    def run(self):
        count = 0
        while self._running:
            if select.select([self._in], [], [], 0.1)[0]:
                datagram = self._in.recv(65_536)
                count += 1
                if count % self._dropped_every:
                    self._in.sendto(datagram, ("127.0.0.1", self._to))
        self._in.close()

    def stop(self):
        self._running = False
        self.join()


def missing_peers(peer, names):
    """Skip the whole direction only where not one of its peers is here."""
    peer.gstreamer(*ELEMENTS)
    peer.program("ffmpeg", "ffmpeg")
    return names


@pytest.fixture(scope="module")
def received(peer, module_command, ports, clip, tmp_path_factory):
    """What `vivavoce receive` made of each peer's stream: {name: (its JSON, WAV file)}."""

    def call(name):
        text, options = SENDERS[name]
        port, path = ports.free(), tmp_path_factory.mktemp(name) / "heard.wav"
        arguments = ["--listen", f"127.0.0.1:{port}", "--idle", 4, "--playout-delay", 400, "--json", *options]
        receiver = module_command.vivavoce("receive", path, *arguments)
        ports.wait_until_taken(port)
        peer_process = module_command.start(*peer_command(peer, name, text, clip=clip, port=port))
        out, err = receiver.communicate(timeout=PATIENCE_S)
        assert receiver.returncode == 0, f"{name}: {err}"
        _, err = peer_process.communicate(timeout=PATIENCE_S)
        assert peer_process.returncode == 0, f"{name}: {err}"
        return json.loads(out), path

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(SENDERS, pool.map(call, missing_peers(peer, SENDERS)), strict=True))


@pytest.mark.parametrize("name", SENDERS)
def test_we_hear_what_a_peer_sends(received, clip, name):
    distance, share = heard_distance_db(received[name][1], clip)
    assert share > 0.97
    assert distance < SAME_DB


@pytest.mark.parametrize("name", SENDERS)
def test_every_slot_of_a_peer_has_its_source(received, name):
    found = received[name][0]
    slots = found["slots"]
    assert found["packets_malformed"] == found["packets_of_unknown_type"] == found["restarts"] == 0
    assert sum(slots.values()) == pytest.approx(50 * SPEECH_S, abs=2)
    if name == "gstreamer-red":
        lost = found["injected"]["lost"]
        assert lost > 10
        assert slots["red"] >= 0.7 * lost  # the others were lost in bursts, for which one copy is too little
        assert slots.get("plc", 0) <= 0.3 * lost
    else:
        assert slots.get("plc", 0) <= 2
        assert found["packets_lost"] == 0


@pytest.fixture(scope="module")
def played(peer, module_command, ports, clip, tmp_path_factory):
    """What each peer made of the stream of `vivavoce send`: {name: WAV file}."""

    def call(name):
        text, options = PLAYERS[name]
        folder = tmp_path_factory.mktemp(name)
        heard, sdp, port = folder / "heard.wav", folder / "stream.sdp", ports.free()
        words = {"port": port, "sdp": sdp, "heard": heard}
        relay = Relay(port, DROPPED_EVERY) if name == "gstreamer-red" else None
        needs_sdp = "{sdp}" in text
        if relay is not None:
            relay.start()
        if not needs_sdp:
            player = module_command.start(*peer_command(peer, name, text, **words))
            ports.wait_until_taken(port)
        to = f"127.0.0.1:{port if relay is None else relay.port}"
        # a player that reads the description joins a stream that already runs, so it gets the same again
        arguments = ["--to", to, "--sdp", sdp, "--bitrate", 64_000, *options, *(["--loop"] if needs_sdp else [])]
        sender = module_command.vivavoce("send", clip, *arguments)
        if needs_sdp:
            until(sdp.exists, sender)
            player = module_command.start(*peer_command(peer, name, text, **words))
            until(lambda: heard.exists() and heard.stat().st_size, player)
            time.sleep(2 * SPEECH_S)
            sender.send_signal(signal.SIGINT)
        _, err = sender.communicate(timeout=PATIENCE_S)
        assert sender.returncode == 0, f"{name}: {err}"
        time.sleep(FLUSH_S)
        if relay is not None:
            relay.stop()
        player.send_signal(signal.SIGINT)
        _, err = player.communicate(timeout=PATIENCE_S)
        assert heard.exists(), f"{name}: {err}"
        return heard

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(PLAYERS, pool.map(call, missing_peers(peer, PLAYERS)), strict=True))


@pytest.mark.parametrize("name", PLAYERS)
def test_a_peer_plays_what_we_send(played, clip, name):
    distance, share = heard_distance_db(played[name], clip)
    assert share > 0.9
    assert distance < SAME_DB


def test_the_measure_tells_other_speech_and_lost_packets_apart(speech_16k):
    clip = speech_16k[: round(16_000 * SPEECH_S)]
    torn = clip.copy().reshape(-1, 320)
    torn[np.random.default_rng(0).random(len(torn)) < 0.2] = 0
    assert band_distance_db(clip, 16_000, clip)[0] == 0
    assert band_distance_db(torn.ravel(), 16_000, clip)[0] > 1.5 * SAME_DB
    assert band_distance_db(clip[::-1], 16_000, clip)[0] > 6 * SAME_DB
