import copy
import ctypes
import gc
import itertools
import pickle
import random
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.codec.opus import FRAME_MS, SAMPLE_RATES, OpusDecoder, OpusEncoder
from vivavoce.codec.packet import OpusPacket, has_lbrr, packet_samples
from vivavoce.errors import CodecError, PacketError


def encode(samples, encoder):
    size = encoder.frame_samples
    return [encoder.encode(samples[..., at : at + size]) for at in range(0, samples.shape[-1] - size + 1, size)]


def decode(packets, decoder):
    return np.concatenate([decoder.decode(packet) for packet in packets], axis=-1)


def best_shift(heard, meant, most=500):
    """The delay of `heard` in samples, to an eighth of one, at which the two correlate best."""
    size, finer = 1 << (2 * len(meant)).bit_length(), 8
    spectrum = np.fft.rfft(heard[: len(meant)], size) * np.conj(np.fft.rfft(meant, size))
    correlation = np.fft.irfft(spectrum, size * finer)
    return int(np.argmax(correlation[: most * finer])) / finer


@pytest.mark.parametrize("frame_ms", FRAME_MS)
@pytest.mark.parametrize("sample_rate", SAMPLE_RATES)
def test_frames_of_every_duration_come_back_as_long(library, sample_rate, frame_ms):
    encoder = OpusEncoder(sample_rate, frame_ms=frame_ms, library=library)
    decoder = OpusDecoder(sample_rate, library=library)
    assert encoder.frame_samples == sample_rate * frame_ms / 1000
    for _ in range(3):
        packet = encoder.encode(np.zeros(encoder.frame_samples, np.float32))
        decoded = decoder.decode(packet)
        assert decoded.shape == (encoder.frame_samples,)
        assert decoded.dtype == np.float32
        assert packet_samples(packet) == 48 * frame_ms


@pytest.mark.parametrize("bitrate_bps", [24000, 32000, 48000])
def test_the_declared_delay_is_the_measured_one(library, speech, bitrate_bps):
    encoder = OpusEncoder(16000, bitrate_bps=bitrate_bps, inband_fec=True, expected_loss_pct=20, library=library)
    heard = decode(encode(speech, encoder), OpusDecoder(16000, library=library))
    assert best_shift(heard, speech) == pytest.approx(encoder.delay_samples, abs=1)
    delay = encoder.delay_samples
    assert np.corrcoef(heard[delay:], speech[: len(heard) - delay])[0, 1] > 0.8


@pytest.mark.parametrize(("application", "tolerance"), [("audio", 2.5), ("lowdelay", 0.5), ("voip", 6)])
def test_at_48_khz_the_declared_delay_is_near_the_measured_one(library, speech_48k, application, tolerance):
    encoder = OpusEncoder(48000, bitrate_bps=32000, application=application, library=library)
    heard = decode(encode(speech_48k, encoder), OpusDecoder(48000, library=library))
    assert best_shift(heard, speech_48k) == pytest.approx(encoder.delay_samples, abs=tolerance)


def test_stereo_keeps_its_channels_apart(library, speech):
    other = np.roll(speech[::-1], 4000)
    encoder = OpusEncoder(16000, channels=2, bitrate_bps=64000, library=library)
    heard = decode(encode(np.stack([speech, other]), encoder), OpusDecoder(16000, channels=2, library=library))
    assert heard.shape == (2, len(speech))
    likeness = np.corrcoef(np.vstack([heard[:, 104:], speech[:-104], other[:-104]]))
    assert likeness[0, 2] > 0.8  # the high-pass of "voip" turns the phase of a low voice
    assert likeness[1, 3] > 0.8
    assert abs(likeness[0, 3]) < 0.2


def test_the_decoder_needs_neither_the_encoders_rate_nor_its_channels(library, speech):
    packets = encode(speech, OpusEncoder(16000, library=library))
    heard = decode(packets, OpusDecoder(48000, channels=2, library=library))
    assert heard.shape == (2, 3 * len(speech))
    assert (heard[0] == heard[1]).all()


def test_lbrr_restores_a_lost_frame_better_than_concealment(library, speech):
    encoder = OpusEncoder(16000, bitrate_bps=32000, inband_fec=True, expected_loss_pct=20, library=library)
    packets = encode(speech, encoder)
    decoder = OpusDecoder(16000, library=library)
    meant, by_lbrr, by_concealment = [], [], []
    for packet, after in itertools.pairwise(packets):
        before = decoder.snapshot()
        if has_lbrr(after):
            by_lbrr.append(decoder.decode_lbrr(after, 320))
            decoder.restore(before)
            by_concealment.append(decoder.conceal(320))
            decoder.restore(before)
            meant.append(decoder.decode(packet))
        else:
            decoder.decode(packet)
    assert len(meant) > 150
    meant, by_lbrr, by_concealment = map(np.concatenate, (meant, by_lbrr, by_concealment))
    assert np.corrcoef(by_lbrr, meant)[0, 1] > 0.9
    assert ((by_lbrr - meant) ** 2).sum() < 0.5 * ((by_concealment - meant) ** 2).sum()


@pytest.mark.parametrize(
    ("bitrate_bps", "expected_loss_pct", "written"),
    [
        pytest.param(32000, 0, False, id="no loss expected"),
        pytest.param(32000, 1, True, id="any loss expected"),
        pytest.param(12000, 20, False, id="a rate too low"),
        pytest.param(18000, 5, False, id="too low for a small loss"),
        pytest.param(18000, 10, True, id="enough for a larger one"),
    ],
)
def test_lbrr_is_written_only_where_loss_is_expected_and_the_rate_allows(
    library, speech, bitrate_bps, expected_loss_pct, written
):
    encoder = OpusEncoder(
        bitrate_bps=bitrate_bps, inband_fec=True, expected_loss_pct=expected_loss_pct, library=library
    )
    share = np.mean([has_lbrr(packet) for packet in encode(speech, encoder)])
    assert share > 0.6 if written else share == 0


@pytest.mark.parametrize("milliseconds", [0, 2.5, 5, 7.5, 10, 12.5, 20, 22.5, 60, 120, 122.5, 1000])
@pytest.mark.parametrize("group", ["silk 20 ms", "hybrid 20 ms", "celt 20 ms", "silk stereo 60 ms"])
def test_any_multiple_of_2_5_ms_is_concealed(library, real_packets, group, milliseconds):
    channels = 2 if "stereo" in group else 1
    decoder = OpusDecoder(48000, channels=channels, library=library)
    for packet in real_packets[group][:20]:
        decoder.decode(packet)
    samples = int(48 * milliseconds)
    concealed = decoder.conceal(samples)
    assert concealed.shape == ((2, samples) if channels == 2 else (samples,))
    assert concealed.dtype == np.float32
    assert np.isfinite(concealed).all()
    if milliseconds == 20:
        assert np.abs(concealed).max() > 1e-3


def test_before_the_first_packet_concealment_is_silence(library):
    assert not OpusDecoder(16000, library=library).conceal(3200).any()


@pytest.mark.parametrize("samples", [-40, 1, 39, 321])
def test_other_lengths_are_refused(library, samples):
    decoder = OpusDecoder(16000, library=library)
    with pytest.raises(ValueError, match="multiple of 40"):
        decoder.conceal(samples)
    with pytest.raises(ValueError, match="multiple of 40"):
        decoder.decode_lbrr(b"\x48abc", samples)


@pytest.mark.parametrize("samples", [0, 1960])
def test_lbrr_fills_one_loss_of_up_to_120_ms(library, samples):
    with pytest.raises(ValueError, match="samples must be in"):
        OpusDecoder(16000, library=library).decode_lbrr(b"\x48abc", samples)


def test_a_restored_decoder_goes_on_bit_for_bit(library, real_packets):
    for group in ("silk 20 ms", "hybrid 20 ms", "celt 20 ms"):
        packets = real_packets[group]
        decoder, other = (OpusDecoder(48000, library=library) for _ in range(2))
        decode(packets[:50], decoder)
        before = decoder.snapshot()
        first = decode(packets[50:80], decoder)
        decoder.conceal(4800)
        decoder.restore(before)
        assert decode(packets[50:80], decoder).tobytes() == first.tobytes()
        other.restore(before)
        assert decode(packets[50:80], other).tobytes() == first.tobytes()


def test_snapshots_of_other_decoders_are_refused(library):
    decoder = OpusDecoder(16000, library=library)
    snapshot = decoder.snapshot()
    foreign = [
        OpusDecoder(48000, library=library).snapshot(),
        OpusDecoder(16000, channels=2, library=library).snapshot(),
        bytes(8) + snapshot[8:],  # of another process
        snapshot[:-1],
        b"",
    ]
    for other in foreign:
        with pytest.raises(ValueError, match="snapshot is not of a decoder"):
            decoder.restore(other)
    assert decoder.snapshot() == snapshot


@pytest.mark.parametrize("make", [OpusEncoder, OpusDecoder])
def test_states_cannot_be_copied_by_accident(bundled, make):
    stream = make(library=bundled)
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="state belongs to this process"):
            attempt(stream)


def test_a_reset_stream_starts_anew(library, speech):
    encoder, decoder = OpusEncoder(library=library), OpusDecoder(library=library)
    packets = encode(speech[:16000], encoder)
    heard = decode(packets, decoder)
    encoder.reset()
    decoder.reset()
    assert encode(speech[:16000], encoder) == packets
    assert (decode(packets, decoder) == heard).all()


def test_output_is_clipped(library):
    time = np.arange(16000) / 16000
    square = np.where(np.sin(2 * np.pi * 150 * time) > 0, 1, -1).astype(np.float32)
    heard = decode(encode(square, OpusEncoder(bitrate_bps=12000, library=library)), OpusDecoder(library=library))
    assert np.abs(heard).max() == 1  # exactly: it overshot


def test_input_outside_the_range_is_clipped(library, speech):
    loud = 4 * speech[:3200]
    assert np.abs(loud).max() > 1
    assert encode(loud, OpusEncoder(library=library)) == encode(np.clip(loud, -1, 1), OpusEncoder(library=library))


@pytest.mark.parametrize(
    ("frame", "error", "message"),
    [
        pytest.param(np.zeros(319, np.float32), ValueError, r"shape \(320,\), got \(319,\)", id="too short"),
        pytest.param(np.zeros((1, 320), np.float32), ValueError, r"got \(1, 320\)", id="two dimensions"),
        pytest.param(np.full(320, np.nan, np.float32), ValueError, "finite", id="NaN"),
        pytest.param(np.full(320, np.inf, np.float32), ValueError, "finite", id="infinity"),
        pytest.param(np.zeros(320, np.int16), TypeError, "floating point.*int16", id="integers"),
    ],
)
def test_frames_that_are_not_speech_are_refused(bundled, frame, error, message):
    with pytest.raises(error, match=message):
        OpusEncoder(library=bundled).encode(frame)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sample_rate": 44100}, "sample_rate must be one of 8000, .*, got 44100"),
        ({"channels": 3}, "channels must be one of 1, 2, got 3"),
        ({"frame_ms": 30}, "frame_ms must be one of"),
        ({"bitrate_bps": 100}, "bitrate_bps must be in"),
        ({"bitrate_bps": float("nan")}, "bitrate_bps must be in"),
        ({"complexity": 11}, "complexity must be in"),
        ({"expected_loss_pct": 101}, "expected_loss_pct must be in"),
        ({"signal": "noise"}, "signal must be one of .*, got 'noise'"),
        ({"bandwidth": "ultrawide"}, "bandwidth must be one of .*, got 'ultrawide'"),
        ({"application": "music"}, "application must be one of"),
        ({"vbr": "sometimes"}, "vbr must be one of"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_settings_out_of_range_are_named(bundled, settings, message):
    with pytest.raises(ValueError, match=message):
        OpusEncoder(library=bundled, **settings)


def test_the_rate_can_be_changed_in_mid_call(library, speech):
    encoder = OpusEncoder(bitrate_bps=12000, library=library)
    low = sum(map(len, encode(speech, encoder)))
    encoder.bitrate_bps = 40000
    assert sum(map(len, encode(speech, encoder))) > 2 * low
    assert encoder.bitrate_bps == 40000


def test_constant_rate_is_constant(library, speech):
    packets = encode(speech, OpusEncoder(bitrate_bps=24000, vbr=False, library=library))
    assert {len(packet) for packet in packets} == {60}


@pytest.mark.parametrize("bandwidth", ["narrowband", "mediumband", "wideband", "superwideband", "fullband"])
def test_the_bandwidth_is_the_one_that_was_asked_for(library, speech_48k, bandwidth):
    packets = encode(speech_48k[:48000], OpusEncoder(48000, bandwidth=bandwidth, library=library))
    assert {OpusPacket.parse(packet).bandwidth for packet in packets} == {bandwidth}


def test_dtx_leaves_silence_out_and_its_packets_decode_as_concealment(library, speech):
    pause = np.concatenate([speech[:32000], np.zeros(64000, np.float32), speech[32000:48000]])
    encoder = OpusEncoder(dtx=True, library=library)
    packets, paused = [], []
    for frame in pause.reshape(-1, encoder.frame_samples):
        packets.append(encoder.encode(frame))
        paused.append(encoder.in_dtx)
    small = [len(packet) <= 2 for packet in packets]
    assert sum(small[100:300]) > 170
    assert not any(small[:100])
    assert all(inside for inside, tiny in zip(paused, small, strict=True) if tiny)
    sent, left_out = OpusDecoder(library=library), OpusDecoder(library=library)
    for packet, tiny in zip(packets, small, strict=True):
        heard = left_out.conceal(320) if tiny else left_out.decode(packet)
        assert sent.decode(packet).tobytes() == heard.tobytes()


def test_a_decoders_complexity_is_set_where_libopus_knows_it(bundled):
    assert OpusDecoder(complexity=5, library=bundled).complexity == 5
    with pytest.raises(ValueError, match="complexity must be in"):
        OpusDecoder(complexity=11, library=bundled)


@pytest.mark.peer
def test_an_old_libopus_says_that_it_knows_no_decoder_complexity(debian):
    if not debian.version.startswith("1.3"):
        pytest.skip("this libopus0 is newer than 1.3")
    with pytest.raises(CodecError, match=r"refuses a decoder's complexity = 5: .*\(code -5\); libopus 1.5") as caught:
        OpusDecoder(complexity=5, library=debian)
    assert caught.value.code == -5


@pytest.mark.parametrize(
    "data", [b"", b"\x4b", b"\x49abc", b"\x48" + bytes(1276), bytes([0x4B, 0x41]) + b"\xff" * 70000]
)
def test_corrupt_packets_are_packet_errors_and_change_nothing(library, packets, data):
    decoder = OpusDecoder(16000, library=library)
    decode(packets[:5], decoder)
    before = decoder.snapshot()
    with pytest.raises(PacketError):
        decoder.decode(data)
    with pytest.raises(PacketError):
        decoder.decode_lbrr(data, 320)
    assert decoder.snapshot() == before


def test_a_packet_of_more_than_61_kb_decodes_as_without_its_padding(library, real_packets):
    plain, padded = (OpusDecoder(16000, library=library) for _ in range(2))
    for packet in real_packets["silk 20 ms"][:5]:
        parsed = OpusPacket.parse(packet)
        long = OpusPacket(parsed.config, parsed.stereo, parsed.frames, bytes(65000)).serialize()
        assert padded.decode(long).tobytes() == plain.decode(packet).tobytes()


@pytest.mark.parametrize("channels", [1, 2])
def test_no_mutated_packet_breaks_a_decoder(library, packets, mutated, channels):
    generator = random.Random(9)
    decoder = OpusDecoder(16000, channels=channels, library=library)
    decoded = refused = 0
    for _ in range(3000):
        data = mutated(generator, generator.choice(packets))
        kind = generator.randrange(4)
        wanted = generator.choice([40, 320, 640, 960, 1920])
        try:
            if kind == 0:
                heard = decoder.decode_lbrr(data, wanted)
            elif kind == 1:
                heard = decoder.conceal(wanted)
            else:
                heard, wanted = decoder.decode(data), packet_samples(data) // 3
        except PacketError:
            refused += 1
            continue
        decoded += 1
        assert heard.shape[-1] == wanted
        assert np.isfinite(heard).all()
        assert np.abs(heard).max(initial=0) <= 1
    assert decoded > 500
    assert refused > 200
    # it recovers: half a second on it sounds like a decoder that never saw any of this
    good = OpusEncoder(library=library)
    speech = (0.3 * np.sin(np.arange(24000) * 0.1) * np.linspace(0.5, 1, 24000)).astype(np.float32)
    fresh = OpusDecoder(16000, channels=channels, library=library)
    packets_of_speech = encode(speech, good)
    heard, meant = decode(packets_of_speech, decoder), decode(packets_of_speech, fresh)
    assert np.abs(heard - meant)[..., 8000:].max() < 0.05


@given(data=st.binary(min_size=1, max_size=100), lbrr=st.booleans())
def test_any_bytes_decode_or_are_a_packet_error(bundled, data, lbrr):
    decoder = OpusDecoder(48000, library=bundled)
    try:
        heard = decoder.decode_lbrr(data, 960) if lbrr else decoder.decode(data)
    except PacketError:
        with pytest.raises(PacketError):
            OpusPacket.parse(data)
        return
    assert len(heard) == (960 if lbrr else packet_samples(data))
    assert np.isfinite(heard).all()


def test_streams_in_threads_do_not_meet(library, speech):
    def stream(bitrate_bps):
        packets = encode(speech, OpusEncoder(bitrate_bps=bitrate_bps, complexity=3, library=library))
        return packets, decode(packets, OpusDecoder(library=library)).tobytes()

    rates = [12000, 20000, 28000, 36000]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(stream, rates)) == [stream(rate) for rate in rates]
    assert not isinstance(library.api, ctypes.PyDLL)  # which would hold the interpreter's lock


def test_states_end_with_their_objects(bundled):
    def use():
        decoder, encoder = OpusDecoder(library=bundled), OpusEncoder(library=bundled)
        decoder.decode(encoder.encode(np.zeros(320, np.float32)))

    use()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(100):
            use()
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < len(OpusDecoder(library=bundled).snapshot())
    finally:
        tracemalloc.stop()


def test_a_signal_that_is_said_to_be_voice_stays_in_speech_modes_up_to_higher_rates(library, speech_16k):
    modes = {}
    for signal in (None, "voice", "music"):
        encoder = OpusEncoder(
            16000, bitrate_bps=40_000, application="audio", complexity=5, signal=signal, library=library
        )
        assert encoder.signal == signal
        modes[signal] = {OpusPacket.parse(packet).mode for packet in encode(speech_16k[:32000], encoder)}
    assert modes == {None: {"celt"}, "voice": {"silk"}, "music": {"celt"}}


def test_a_decoder_remembers_the_last_packet_with_its_state(library, speech_16k):
    decoder = OpusDecoder(16000, library=library)
    assert decoder.last_toc is None
    empty = decoder.snapshot()
    (packet,) = encode(speech_16k[:320], OpusEncoder(16000, library=library))
    decoder.decode(packet)
    decoder.conceal(320)
    assert decoder.last_toc == packet[0]
    full = decoder.snapshot()
    decoder.restore(empty)
    assert decoder.last_toc is None
    decoder.restore(full)
    assert decoder.last_toc == packet[0]
    decoder.reset()
    assert decoder.last_toc is None
