"""A receiver of packets that describe their past: which slots are made of it, and that they are told what was said."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from transport.streams import on_time, packets, play, speech
from vivavoce._core import speech_features
from vivavoce.audio import resample
from vivavoce.codec.extensions import Extension, with_extensions
from vivavoce.codec.opus import OpusDecoder
from vivavoce.concealment.neural import NeuralConcealment
from vivavoce.models import find_model
from vivavoce.redundancy import dred
from vivavoce.redundancy.image import rdovae_image
from vivavoce.redundancy.payload import LevelSchedule, with_check
from vivavoce.redundancy.rdovae import SIZES, RdoVae
from vivavoce.transport.receiver import Receiver
from vivavoce.transport.rtp import RtpPacket

RATE, FRAME = 16_000, 320
LOOK_AHEAD = 104  # of Opus at 16 kHz
FIRST = 2**32 - 1920  # timestamp of the stream


@pytest.fixture
def model(tmp_path, monkeypatch):
    """An RDO-VAE that was never trained, released under the identifier 1."""
    torch.manual_seed(0)
    arrays = {name: weight.numpy() for name, weight in RdoVae(SIZES["tiny"]).state_dict().items()}
    path = tmp_path / "rdovae-test.vvm"
    metadata = {"system": "rdovae", "name": "rdovae-test", "sample_rate": "16000", "model_id": "1"}
    path.write_bytes(rdovae_image(arrays, metadata))
    monkeypatch.setitem(dred.RELEASED, 1, str(path))
    return str(path)


def described(model, chunks=26, change=lambda payload: payload):
    """The packets of `speech`, each with what it says of the past."""
    sender = dred.DredSender(RATE, LOOK_AHEAD, model=model)
    stream = []
    for index, datagram in packets(bitrate_bps=24_000):
        sender.process(speech()[FRAME * index : FRAME * (index + 1)])
        packet = RtpPacket.parse(datagram)
        payload = sender.payload(960, LevelSchedule(0), chunks)
        body = packet.payload if payload is None else dred.with_dred(packet.payload, change(payload))
        stream.append((index, replace(packet, payload=body).serialize()))
    return tuple(stream)


def slots_of(stream, lost, delay_ms=1100, conceal="neural"):
    receiver = Receiver(RATE, playout_delay_ms=delay_ms, conceal=conceal)
    play(receiver, on_time(stream, lost), 3.0 + delay_ms / 1000)
    return receiver.stats.slots, receiver.drain_slots()


@pytest.mark.parametrize(
    ("chunks", "lost", "delay_ms", "expected"),
    [
        pytest.param(26, (50,), 1100, {"primary": 149, "dred": 1}, id="one packet"),
        pytest.param(26, range(50, 75), 1100, {"primary": 125, "dred": 25}, id="half a second"),
        pytest.param(5, range(50, 75), 1100, {"primary": 125, "plc": 16, "dred": 9}, id="it reaches 185 ms back"),
        pytest.param(26, range(50, 75), 100, {"primary": 125, "plc": 21, "dred": 4}, id="it comes too late for most"),
    ],
)
def test_a_gap_is_made_from_what_the_packet_behind_it_says(model, chunks, lost, delay_ms, expected):
    slots, played = slots_of(described(model, chunks), tuple(lost), delay_ms)
    assert slots == expected
    sources = [slot.source for slot in played]
    last = len(sources) - 1 - sources[::-1].index("dred")
    assert set(sources[last + 1 - expected["dred"] : last + 1]) == {"dred"}


def test_what_is_told_is_of_the_gap(model, monkeypatch):
    asked, told = [], []
    tell, features_from = NeuralConcealment.tell, dred.DredRedundancy.features_from
    monkeypatch.setattr(NeuralConcealment, "tell", lambda self, *what: (told.append(what), tell(self, *what)))

    def asked_for(self, time):
        asked.append(time - FIRST)
        return features_from(self, time)

    monkeypatch.setattr(dred.DredRedundancy, "features_from", asked_for)
    slots, _ = slots_of(described(model), tuple(range(50, 60)))
    assert slots == {"primary": 140, "dred": 10}
    assert asked == [49 * 960]  # the time before it is compared with what was heard
    ((features, gap),) = told
    assert len(features) == 24  # 200 ms, 15 ms behind them, and what fills a chunk
    assert gap == -20 * RATE // 1000


def test_what_comes_too_late_leads_the_concealment(model, monkeypatch):
    """Packet 54 arrives after its slot was concealed: what follows is led by what it says of 50 to 53."""
    told = []
    tell = NeuralConcealment.tell
    monkeypatch.setattr(NeuralConcealment, "tell", lambda self, *what: (told.append(what), tell(self, *what)))
    stream = described(model)
    late = (54 * 0.02 + 0.13, stream[54][1])
    receiver = Receiver(RATE, playout_delay_ms=100, conceal="neural")
    play(receiver, sorted([*on_time(stream, tuple(range(50, 70))), late]), 3.1)
    assert receiver.stats.slots == {"primary": 130, "plc": 16, "dred": 4}
    (early, gap), (_, other) = told
    assert gap == other == -20 * RATE // 1000
    assert len(early) == 12  # 120 ms, of which 100 are of the gap


def test_times_agree_with_the_decoded_signal(model):
    """The newest chunk of packet n has a frame centred on the beginning of the packet, as a decoder plays it."""
    sender = dred.DredSender(RATE, LOOK_AHEAD, model=model)
    for index in range(60):
        sender.process(speech()[FRAME * index : FRAME * (index + 1)])
    payload = sender.payload(960, LevelSchedule(0), 3)
    packet = dred.with_dred(RtpPacket.parse(packets()[59][1]).payload, payload)
    redundancy = dred.DredReceiver().redundancy_of(59 * 960, packet)
    assert (redundancy.end - 59 * 960, redundancy.end - redundancy.begin) == (720, 3 * 1920)
    features, centre = redundancy.features_from(redundancy.begin)
    assert features.shape == (12, 20)
    assert centre == redundancy.begin + 240
    assert redundancy.features_from(59 * 960)[0].shape == (4, 20)
    late = np.concatenate([np.zeros(LOOK_AHEAD, np.float32), speech()])[: 60 * FRAME]
    assert sender.loudness(0) == pytest.approx(speech_features(late, 120)[-2:, 0].max(), abs=1e-4)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda payload: b"D" + payload[1:], id="another magic"),
        pytest.param(
            lambda payload: with_check(payload[:1] + bytes([2]) + payload[2:]), id="a model that is not released"
        ),
        pytest.param(lambda payload: payload[:-1] + bytes([payload[-1] ^ 1]), id="damaged"),
        pytest.param(lambda payload: b"V", id="too short"),
        pytest.param(lambda payload: b"", id="empty"),
    ],
)
def test_what_is_not_understood_is_ignored(model, change):
    slots, _ = slots_of(described(model, change=change), (50, 51))
    assert slots == {"primary": 148, "plc": 2}


@pytest.mark.parametrize("conceal", ["opus", "repeat"])
def test_who_cannot_listen_conceals(model, conceal):
    slots, _ = slots_of(described(model), (50, 51), conceal=conceal)
    assert slots == {"primary": 148, "plc": 2}


def test_a_stock_decoder_plays_the_same_samples(model):
    plain, carrying = packets(bitrate_bps=24_000), described(model)
    heard = [play(Receiver(RATE, conceal="opus"), on_time(stream), 3.2) for stream in (plain, carrying)]
    assert np.array_equal(*heard)


def test_a_model_of_another_system_is_refused():
    with pytest.raises(dred.ModelError, match="system rdovae"):
        dred.DredSender(RATE, LOOK_AHEAD, model=str(find_model("plc-base-v1")))


def test_a_packet_is_read_again_where_only_its_copy_was_read(model):
    (_, plain), (_, carrying) = packets(bitrate_bps=24_000)[70], described(model)[70]
    receiver = dred.DredReceiver()
    assert receiver.redundancy_of(0, RtpPacket.parse(plain).payload) is None
    assert receiver.redundancy_of(0, RtpPacket.parse(carrying).payload) is not None


def test_a_gap_that_began_with_a_standing_tone_goes_on_as_told():
    concealer, decoder = NeuralConcealment(RATE), OpusDecoder(RATE)
    tone = 0.2 * np.sin(2 * np.pi * 440 / RATE * np.arange(RATE)).astype(np.float32)
    for slot in tone.reshape(-1, FRAME):
        concealer.receive(slot)
    concealer.conceal(decoder, FRAME)
    assert concealer.remark
    concealer.tell(np.zeros((50, 20), np.float32), 0)
    concealer.conceal(decoder, FRAME)
    assert not concealer.remark


@pytest.mark.parametrize("tonal_slots", [0, 5, 10])
def test_what_is_told_keeps_its_time_in_a_gap_that_began_with_a_standing_tone(tonal_slots):
    concealer, decoder = NeuralConcealment(RATE), OpusDecoder(RATE)
    before = 0.05 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    if tonal_slots:
        before = 0.2 * np.sin(2 * np.pi * 440 / RATE * np.arange(RATE)).astype(np.float32)
    for slot in before.reshape(-1, FRAME):
        concealer.receive(slot)
    features = np.zeros((60, 20), np.float32)
    features[:, 0] = np.where(np.arange(60) < 25, -14, 6)  # nothing for 250 ms, then loud
    heard = []
    for slot in range(20):
        if slot == tonal_slots:
            concealer.tell(features, FRAME // 4)
        heard.append(np.square(concealer.conceal(decoder, FRAME)).mean())
        assert bool(concealer.remark) == (slot < tonal_slots)
    assert np.argmax(np.diff(heard[tonal_slots:])) + tonal_slots + 1 in (12, 13)


# narrower speech has less energy, so that times alone could not be told
@pytest.mark.parametrize("sample_rate", [24_000, 48_000])
def test_wider_speech_is_heard_at_the_same_time(model, sample_rate):
    heard = []
    for rate in (RATE, sample_rate):
        sender, samples = dred.DredSender(rate, LOOK_AHEAD * rate // RATE, model=model), resample(speech(), RATE, rate)
        for frame in samples[: 60 * rate // 50].astype(np.float32).reshape(60, -1):
            sender.process(frame)
        assert sender.steps == 60
        heard.append(np.array([sender.loudness(age) for age in range(55)]))
    aligned, late, early = (np.abs(heard[0][2 + shift : 53 + shift] - heard[1][2:53]).mean() for shift in (0, 1, -1))
    assert aligned < 0.5 * min(late, early)


@pytest.mark.parametrize("beside", [1, 2000])
def test_what_packets_say_is_looked_for_once_a_packet(beside, monkeypatch):
    """Packets with long padding, as many behind a gap and within it as a slot asks about, cost no more than others."""
    asked = []
    look = dred.extensions_of
    monkeypatch.setattr(dred, "extensions_of", lambda packet, limit: asked.append(limit) or look(packet, limit))
    padding, late = [Extension(5, 0, b"")] * beside, []
    receiver = Receiver(RATE, playout_delay_ms=1100, conceal="neural", anchor=(FIRST, 0.0))
    for index, datagram in packets(bitrate_bps=24_000)[:130]:
        packet = RtpPacket.parse(datagram)
        heavy = replace(packet, payload=with_extensions(packet.payload, padding)).serialize()
        if index < 10 or index >= 70:
            receiver.receive(heavy, 0.01)
        elif index < 18:
            late.append(heavy)
    for tick in range(200):
        receiver.playout(160, 0.01 * tick)
        for datagram in late if tick == 160 else ():
            receiver.receive(datagram, 1.6)
    assert receiver.stats.slots["plc"] > 20
    assert len(asked) <= 130
    assert max(asked) == dred.MAX_BESIDE
    assert dred.MAX_BESIDE < 100


def test_who_hides_a_description_behind_many_extensions_is_not_heard(model):
    stream = described(model)
    hidden = [Extension(5, 0, b"")] * dred.MAX_BESIDE
    packet = RtpPacket.parse(stream[60][1]).payload
    receiver = dred.DredReceiver()
    assert receiver.redundancy_of(0, packet) is not None
    payload = dred._extension(packet, dred.EXTENSION_ID)
    assert receiver.redundancy_of(1, with_extensions(packet, [*hidden, Extension(122, 0, payload)])) is None
