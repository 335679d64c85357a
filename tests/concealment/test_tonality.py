import numpy as np
import pytest

from vivavoce.audio import resample
from vivavoce.codec.opus import OpusDecoder, OpusEncoder
from vivavoce.concealment.neural import STANDING_TONES, NeuralConcealment
from vivavoce.concealment.tonality import HISTORY_S, TONAL, tonality

RATES = (8_000, 16_000, 48_000)


def chord(sample_rate, seconds=1.0, notes=(220.0, 277.2, 329.6)):
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    return 0.05 * sum(np.cos(2 * np.pi * k * note * time + k) / k for note in notes for k in range(1, 8))


@pytest.mark.parametrize("sample_rate", RATES)
@pytest.mark.parametrize("notes", [(440.0,), (220.0, 277.2, 329.6), (110.0, 164.8, 196.0, 261.6, 330.0)], ids=len)
def test_tones_that_stand_still_are_found(sample_rate, notes):
    assert tonality(chord(sample_rate, notes=notes), sample_rate) > 0.9


@pytest.mark.parametrize("sample_rate", RATES)
def test_noise_and_silence_have_none(sample_rate):
    noise = np.random.default_rng(0).standard_normal(sample_rate)
    assert abs(tonality(noise, sample_rate)) < 0.3
    assert tonality(np.zeros(sample_rate), sample_rate) == 0
    assert tonality(1e-20 * noise, sample_rate) < TONAL


@pytest.mark.parametrize("sample_rate", RATES)
def test_speech_hardly_ever_stands_still(speech_16k, sample_rate):
    speech = resample(speech_16k, 16_000, sample_rate)
    history = round(HISTORY_S * sample_rate)
    ends = range(history, len(speech), sample_rate // 20)
    found = np.mean([tonality(speech[end - history : end], sample_rate) >= TONAL for end in ends])
    assert found < 0.03


@pytest.mark.parametrize("sample_rate", RATES)
def test_where_tones_stand_still_opus_conceals_and_it_is_said(sample_rate):
    slot = sample_rate // 50
    encoder, decoder = OpusEncoder(sample_rate), OpusDecoder(sample_rate)
    concealer = NeuralConcealment(sample_rate)
    for frame in chord(sample_rate).astype(np.float32).reshape(-1, slot):
        concealer.receive(decoder.decode(encoder.encode(frame)))
    other = OpusDecoder(sample_rate)
    other.restore(decoder.snapshot())
    concealer.foresee(np.ones(3 * slot, np.float32), 3 * slot)  # of which Opus has no use
    for _ in range(3):
        np.testing.assert_array_equal(concealer.conceal(decoder, slot), other.conceal(slot))
        assert concealer.remark == STANDING_TONES
    packet = encoder.encode(np.zeros(slot, np.float32))
    np.testing.assert_array_equal(concealer.receive(decoder.decode(packet)), other.decode(packet))
    assert not concealer.remark
    concealer.reset()
    concealer.conceal(decoder, slot)
    assert not concealer.remark
