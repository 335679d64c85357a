import numpy as np
import pytest

from vivavoce.codec.opus import OpusDecoder, OpusEncoder
from vivavoce.concealment.concealer import CONCEALERS, create_concealer

RATE = 16_000
SLOT = 320


def tone(slots):
    return (0.5 * np.sin(2 * np.pi * 200 * np.arange(slots * SLOT) / RATE)).astype(np.float32)


@pytest.fixture
def decoder():
    """One that has decoded a tone."""
    encoder, decoder = OpusEncoder(RATE), OpusDecoder(RATE)
    for slot in np.split(tone(5), 5):
        decoder.decode(encoder.encode(slot))
    return decoder


@pytest.mark.parametrize("name", CONCEALERS)
def test_every_concealer_fills_exactly_the_slot(name, decoder):
    concealer = create_concealer(name, RATE)
    for length in (SLOT, SLOT // 2, 40, 3 * SLOT):
        concealer.receive(tone(1))
        filled = concealer.conceal(decoder, length)
        assert filled.shape == (length,)
        assert filled.dtype == np.float32
        assert np.isfinite(filled).all()


def test_opus_concealment_is_the_decoders(decoder):
    other = OpusDecoder(RATE)
    other.restore(decoder.snapshot())
    heard = create_concealer("opus", RATE).conceal(decoder, SLOT)
    np.testing.assert_array_equal(heard, other.conceal(SLOT))


@pytest.mark.parametrize("name", CONCEALERS)
def test_the_decoder_goes_through_the_gap(name, decoder):
    """Its state after a gap is not that before: packets say what changes against it."""
    before = decoder.snapshot()
    concealer = create_concealer(name, RATE)
    concealer.receive(tone(1))
    concealer.conceal(decoder, SLOT)
    assert decoder.snapshot() != before


def test_silence_is_silent(decoder):
    concealer = create_concealer("silence", RATE)
    concealer.receive(tone(1))
    assert not concealer.conceal(decoder, SLOT).any()


@pytest.mark.parametrize("hertz", [110, 173, 215, 440])
def test_repetition_begins_without_a_click(hertz, decoder):
    sound = (0.5 * np.sin(2 * np.pi * hertz * np.arange(5 * SLOT) / RATE)).astype(np.float32)
    concealer = create_concealer("repeat", RATE)
    concealer.receive(sound)
    gap = concealer.conceal(decoder, SLOT)
    assert abs(gap[0] - sound[-1]) < 1.2 * np.abs(np.diff(sound)).max()
    assert np.abs(np.diff(gap)).max() < 1.2 * np.abs(np.diff(sound)).max()


def test_repetition_continues_a_tone_without_a_click_and_fades_within_100_ms(decoder):
    concealer = create_concealer("repeat", RATE)
    played = [concealer.receive(part) for part in np.split(tone(5), 5)]
    gap = [concealer.conceal(decoder, SLOT) for _ in range(8)]
    played += [*gap, concealer.receive(tone(1))]
    signal = np.concatenate(played)
    assert np.abs(np.diff(signal)).max() < 1.5 * np.abs(np.diff(tone(5))).max()
    levels = [float(np.sqrt(np.mean(part**2))) for part in gap]
    assert levels[0] == pytest.approx(0.354, abs=0.02)
    assert levels == sorted(levels, reverse=True)
    assert max(levels[5:]) == 0


def test_reset_forgets_the_voice(decoder):
    concealer = create_concealer("repeat", RATE)
    concealer.receive(tone(2))
    concealer.reset()
    assert not concealer.conceal(decoder, SLOT).any()


def test_an_unknown_concealer_is_refused():
    with pytest.raises(ValueError, match="magic"):
        create_concealer("magic", RATE)
