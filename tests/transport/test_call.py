import numpy as np
import pytest

from likeness import band_distance_db
from transport.streams import speech
from vivavoce.transport.call import CallSettings, encode_rate, simulate_call, unprotected
from vivavoce.transport.loss import RecordedTrace, parse_loss
from vivavoce.transport.protection import Protection
from vivavoce.transport.receiver import Receiver
from vivavoce.transport.rtp import RtpPacket
from vivavoce.transport.sender import Sender

RATE = 16_000


def lag_of(played, reference):
    size = 2 * len(reference)
    match = np.fft.irfft(np.fft.rfft(played, size) * np.fft.rfft(reference, size).conj())
    lag = int(np.argmax(match))
    return lag if lag < size // 2 else lag - size


def trace(text):
    return RecordedTrace(np.array([letter == "1" for letter in text]))


@pytest.mark.parametrize("rate", [16_000, 48_000])
@pytest.mark.parametrize("playout_delay_ms", [40, 100, 1100])
@pytest.mark.parametrize("bitrate_bps", [12_000, 24_000, 64_000])
def test_the_output_lies_on_the_input(rate, playout_delay_ms, bitrate_bps):
    samples = np.repeat(speech(), rate // RATE)
    settings = CallSettings(sample_rate=rate, playout_delay_ms=playout_delay_ms, bitrate_bps=bitrate_bps)
    result = simulate_call(samples, settings)
    assert result.samples.shape == samples.shape
    assert abs(lag_of(result.samples, samples)) <= 1
    assert result.slots == {"primary": 150}
    assert result.lost == 0


@pytest.mark.parametrize("length", [1, 319, 320, 321, 16_001])
def test_any_length_comes_back(length):
    result = simulate_call(speech()[:length], CallSettings())
    assert result.samples.shape == (length,)
    assert result.duration_s == length / RATE
    assert sum(result.slots.values()) == -(-length // 320)
    assert len(result.slot_sources) == -(-length // 320)


def test_losses_hit_the_slots_of_the_trace():
    lost = "0100000110" + 10 * "0"
    result = simulate_call(speech(), CallSettings(loss=trace(lost)))
    expected = ["plc" if letter == "1" else "primary" for letter in (lost * 8)[:150]]
    assert result.slot_sources == expected
    assert result.lost_packets.tolist() == [letter == "1" for letter in (lost * 8)[: result.packets]]
    assert result.expected_loss_pct == pytest.approx(15)


def test_slots_are_counted_however_long_the_call():
    samples = np.tile(speech(), 25)
    result = simulate_call(samples, CallSettings(loss=trace("0000000001"), bitrate_bps=12_000))
    assert result.slots == {"plc": 375, "primary": 3375}
    assert result.slot_sources[:10] == result.slot_sources[-10:]


def test_the_first_packet_may_be_lost():
    result = simulate_call(speech(), CallSettings(loss=trace("1" + 200 * "0")))
    assert result.slot_sources[:2] == ["plc", "primary"]


@pytest.mark.parametrize(
    ("protect", "recovered"), [("red:1", "red"), ("red:1,2", "red"), ("lbrr", "lbrr"), ("lbrr+red:2", "red")]
)
def test_protection_recovers_and_costs_the_same_rate(protect, recovered):
    settings = CallSettings(loss=trace("0001000010"), protection=Protection.parse(protect), bitrate_bps=48_000)
    result = simulate_call(speech(), settings)
    plain = simulate_call(speech(), unprotected(settings))
    assert result.slots[recovered] > 15
    assert plain.slots["plc"] == result.slots.get("plc", 0) + sum(result.slots.get(s, 0) for s in ("red", "lbrr"))
    assert result.protection[recovered] > 0.5
    assert plain.protection == {}
    assert result.bitrate_bps == pytest.approx(encode_rate(speech(), settings), rel=1e-9)
    assert result.bitrate_bps < 1.05 * 48_000


@pytest.mark.parametrize("protect", ["dred", "lbrr+dred"])
def test_descriptions_of_the_past_fill_gaps(protect):
    loss = trace("0" * 35 + "1" * 10 + "0" * 5)
    settings = CallSettings(
        loss=loss, protection=Protection.parse(protect), bitrate_bps=40_000, conceal="neural", playout_delay_ms=1100
    )
    result = simulate_call(speech(), settings)
    assert result.slots["dred"] + result.slots.get("lbrr", 0) >= 20  # nobody speaks in the third gap
    assert result.protection["dred"] > 0.05
    assert result.redundancy["dred"]["covered_ms"] > 200
    assert result.bitrate_bps == pytest.approx(encode_rate(speech(), settings), rel=1e-9)
    plain = simulate_call(speech(), unprotected(settings))
    described, guessed = (band_distance_db(each.samples, RATE, speech())[0] for each in (result, plain))
    assert described < 0.75 * guessed


def test_blocks_of_red_say_the_same_as_padding():
    heard = []
    for dred_payload_type in (None, 118):
        stream = Sender(
            sample_rate=RATE,
            bitrate_bps=40_000,
            protection=Protection.parse("dred"),
            expected_loss_pct=20,
            dred_payload_type=dred_payload_type,
            timestamp=960,
        )
        receiver = Receiver(RATE, playout_delay_ms=500, conceal="neural", anchor=(960, 0.0))
        for index, frame in enumerate(speech()[: 320 * 149].reshape(-1, 320)):
            (datagram,) = stream.send(frame)
            if not 60 <= index < 66:
                receiver.receive(datagram, index / 50)
        receiver.playout(3 * RATE, 0.5)
        heard.append(receiver.stats.slots)
        types = {RtpPacket.parse(datagram).payload_type}
        assert types == ({111} if dred_payload_type is None else {63})
        assert stream.stats.packets_with_red == 0
    assert heard[0] == heard[1]
    assert heard[0]["dred"] == 6


def test_a_playout_delay_too_short_for_the_redundancy_makes_it_useless():
    slots = [
        simulate_call(
            speech(),
            CallSettings(loss=trace("000010"), protection=Protection(red=(2,)), playout_delay_ms=delay),
        ).slots
        for delay in (40, 60)
    ]
    assert "red" not in slots[0]
    assert slots[1]["red"] > 20


def test_the_seed_decides_everything():
    def call(seed):
        return simulate_call(speech(), CallSettings(loss=parse_loss("20%"), jitter_ms=10, seed=seed))

    first, again, other = call(1), call(1), call(2)
    np.testing.assert_array_equal(first.samples, again.samples)
    assert first.stats == again.stats
    assert first.slot_sources != other.slot_sources


def test_jitter_beyond_the_playout_delay_is_loss_to_the_listener():
    tight = simulate_call(speech(), CallSettings(jitter_ms=40, playout_delay_ms=40, seed=3))
    wide = simulate_call(speech(), CallSettings(jitter_ms=40, playout_delay_ms=400, seed=3))
    assert tight.slots["plc"] > 10
    assert wide.slots == {"primary": 150}
    assert tight.lost == wide.lost == 0
    assert tight.stats.packets_discarded > 10


def test_an_adaptive_delay_lists_its_changes():
    result = simulate_call(speech(5.5), CallSettings(jitter_ms=40, playout_delay_ms=None, seed=3))
    assert result.samples.shape == speech(5.5).shape
    assert len(result.delay_changes) > 1
    assert result.delay_changes[0][1] == pytest.approx(80, abs=1)
    assert result.playout_delay_ms > 80


@pytest.mark.parametrize("conceal", ["silence", "repeat"])
def test_concealers_differ_in_the_lost_slots_only_so_much(conceal):
    settings = {"loss": trace("00000000001"), "bitrate_bps": 48_000}
    opus = simulate_call(speech(), CallSettings(**settings)).samples
    other = simulate_call(speech(), CallSettings(conceal=conceal, **settings)).samples
    assert not np.array_equal(opus, other)
    lost = np.repeat(np.array([letter == "1" for letter in ("00000000001" * 20)[:150]]), 320)
    shift = 104  # the decoder's look-ahead moves a slot's sound by 6.5 ms
    heard_lost = np.roll(lost, -shift)
    assert np.abs(opus - other)[~heard_lost & ~np.roll(lost, 160 - shift)].max() < 0.05
    if conceal == "silence":
        assert not other[heard_lost].any()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"sample_rate": 44_100}, "44100"),
        ({"jitter_ms": -1}, "-1"),
        ({"jitter_ms": float("nan")}, "nan"),
    ],
)
def test_wrong_settings_are_named(arguments, named):
    with pytest.raises(ValueError, match=named):
        CallSettings(**arguments)


def test_no_samples_are_no_call():
    with pytest.raises(ValueError, match="samples"):
        simulate_call(np.zeros(0, np.float32), CallSettings())
