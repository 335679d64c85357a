"""The core's concealer with networks that were never trained: what must hold whatever they say."""

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from corpora import voice
from vivavoce._core import Concealer, Model, speech_features
from vivavoce.concealment.image import predictor_image
from vivavoce.concealment.model import SIZES as PREDICTOR_SIZES
from vivavoce.concealment.model import FeaturePredictor
from vivavoce.signal.cepstrum import BARK_BANDS
from vivavoce.vocoder.fargan import SIZES as VOCODER_SIZES
from vivavoce.vocoder.fargan import Fargan
from vivavoce.vocoder.fargan_image import fargan_image

SLOT = 320
LEVEL, CONTRAST = 0.4, 1.15  # of neural_plc.cc
SPEECH = voice(np.random.default_rng(0), 3.0, 16_000)


def image(make, network, system):
    arrays = {name: weight.numpy() for name, weight in network.state_dict().items()}
    return make(arrays, {"system": system, "name": f"{system}-test", "sample_rate": "16000"})


@pytest.fixture(scope="module")
def models():
    torch.manual_seed(0)
    vocoder, predictor = Fargan(VOCODER_SIZES["tiny"]), FeaturePredictor(PREDICTOR_SIZES["tiny"])
    with torch.no_grad():
        predictor.output.bias[0] = 4  # loud
        vocoder.gates.bias[4] = 2  # repeats itself
        vocoder.postfilter.gains.weight.normal_(0, 0.1)
    return (
        Model.from_bytes(image(predictor_image, predictor, "plc")),
        Model.from_bytes(image(fargan_image, vocoder, "fargan")),
    )


def call(concealer, samples, lost):
    """What is played of slots of 20 ms; `lost` says which."""
    slots = samples[: len(samples) // SLOT * SLOT].reshape(-1, SLOT)
    played = [
        concealer.conceal(SLOT) if gone else concealer.receive(slot) for slot, gone in zip(slots, lost, strict=True)
    ]
    return np.concatenate(played)


def test_what_arrives_is_played_as_it_is(models):
    assert (call(Concealer(*models), SPEECH, np.zeros(150, bool)) == SPEECH).all()


def test_a_gap_goes_on_from_what_was_before(models):
    concealer = Concealer(*models)
    concealer.receive(SPEECH[:16_000])
    made = concealer.conceal(1_600)
    assert made.shape == (1_600,)
    assert np.abs(made).max() > 1e-4
    assert abs(float(made[0] - SPEECH[15_999])) < 0.05


def test_the_first_5_ms_after_a_gap_go_over_and_the_rest_is_untouched(models):
    concealer = Concealer(*models)
    concealer.receive(SPEECH[:16_000])
    concealer.conceal(SLOT)
    going_on = concealer.copy().conceal(80)
    slot = SPEECH[16_320:16_640]
    played = concealer.receive(slot)
    assert (played[80:] == slot[80:]).all()
    assert (played[:80] != slot[:80]).any()
    assert played[0] == pytest.approx(going_on[0], abs=0.02)
    assert (concealer.receive(slot) == slot).all()


def test_what_is_joined_to_a_gap_is_untouched(models):
    concealer = Concealer(*models)
    concealer.receive(SPEECH[:16_000])
    concealer.conceal(SLOT)
    assert (concealer.receive(SPEECH[16_320:16_640], joined=True) == SPEECH[16_320:16_640]).all()


@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 48_000])
def test_what_lies_ahead_is_what_is_made_next(models, sample_rate):
    concealer = Concealer(*models, sample_rate)
    signal = voice(np.random.default_rng(6), 0.5, sample_rate)
    concealer.receive(signal)
    assert not concealer.ahead(100).any()
    other = concealer.copy()
    whole = concealer.conceal(2_400)
    pieces = []
    for count in (100, 300, 2_000):
        pieces.append(other.conceal(count))
        ahead = other.ahead(80)
        assert (other.ahead(480)[:80] == ahead).all()
        assert (other.copy().conceal(80) == ahead).all()
    assert (np.concatenate(pieces) == whole).all()
    assert (other.played(2_000) == whole[-2_000:]).all()
    with pytest.raises(ValueError, match="at most 480"):
        other.ahead(481)
    with pytest.raises(ValueError, match=f"at most {26 * sample_rate // 100}"):
        other.played(sample_rate)


@pytest.mark.parametrize("sizes", [[160] * 8, [40] * 32, [1, 39, 120, 1_000, 120], [1_280]], ids=str)
def test_any_pieces_make_the_same_gap(models, sizes):
    concealer = Concealer(*models)
    concealer.receive(SPEECH[:8_000])
    whole = concealer.copy().conceal(1_280)
    assert (np.concatenate([concealer.conceal(count) for count in sizes]) == whole).all()


def test_state_copied_and_rolled_back_equals_a_straight_run(models):
    lost = np.random.default_rng(1).random(150) < 0.4
    straight = call(Concealer(*models), SPEECH, lost)
    concealer = Concealer(*models)
    played = []
    for index, gone in enumerate(lost):
        slot = SPEECH[index * SLOT : (index + 1) * SLOT]
        detour = concealer.copy()
        detour.conceal(640)
        detour.receive(slot)
        played.append(concealer.conceal(SLOT) if gone else concealer.receive(slot))
        concealer = concealer.copy()
    assert (np.concatenate(played) == straight).all()
    concealer.reset()
    assert (call(concealer, SPEECH, lost) == straight).all()


def power_db(samples):
    return 10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-20)


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(np.zeros(8_000), id="silence"),
        pytest.param(SPEECH[:8_000], id="speech"),
        pytest.param(1e-4 * SPEECH[:8_000], id="faint speech"),
        pytest.param(np.clip(50 * SPEECH[:8_000], -1, 1), id="clipped speech"),
        pytest.param(np.full(8_000, 0.5), id="DC"),
        pytest.param(0.9 * np.sin(0.3 * np.arange(8_000)), id="pure tone"),
        pytest.param(0.1 * np.random.default_rng(2).standard_normal(8_000), id="noise"),
    ],
)
def test_a_gap_is_no_louder_than_what_preceded_it_plus_3_db(models, before):
    before = before.astype(np.float32)
    concealer = Concealer(*models)
    concealer.receive(before)
    made = concealer.conceal(16_000)
    assert np.isfinite(made).all()
    loudest = max(power_db(hop) for hop in before[-2_560:].reshape(-1, 160))
    assert max(power_db(hop) for hop in made.reshape(-1, 160)) <= max(loudest + 3.1, -150)


def test_long_gaps_fade_to_silence(models):
    concealer = Concealer(*models)
    concealer.receive(SPEECH[:8_000])
    concealer.conceal(8_000)
    assert np.abs(concealer.conceal(1_600)).max() < 1e-3


def test_no_sample_and_no_pattern_harms_it(models):
    random = np.random.default_rng(3)
    hostile = random.choice(np.array([np.nan, np.inf, -np.inf, 1e38, -1e38, 0, 1, -1, 0.1], np.float32), 48_000)
    played = call(Concealer(*models), hostile, random.random(150) < 0.5)
    assert np.isfinite(played).all()
    assert np.abs(played).max() <= 4 * 2**0.5  # where two that have nothing in common go over into each other


def test_it_conceals_before_anything_arrived(models):
    assert (Concealer(*models).conceal(3_200) == 0).all()
    assert Concealer(*models).conceal(0).shape == (0,)


def test_bad_arguments_are_named(models):
    predictor, vocoder = models
    with pytest.raises(ValueError, match="no vocoder: plc-test"):
        Concealer(predictor, predictor)
    with pytest.raises(ValueError, match="no predictor of lost features: fargan-test"):
        Concealer(vocoder, vocoder)
    with pytest.raises(TypeError, match="float32"):
        Concealer(*models).receive(np.zeros(10))
    with pytest.raises(ValueError, match="at most 16777216"):
        Concealer(*models).conceal(2**24 + 1)


def steady_voice(sample_rate):
    time = np.arange(sample_rate) / sample_rate
    return sum(0.05 * np.cos(2 * np.pi * 200 * k * time + k * k) for k in range(1, 13)).astype(np.float32)


def test_what_is_foreseen_may_come_late_and_in_any_amount(models):
    concealer = Concealer(*models)
    concealer.receive(SPEECH[:16_000])
    before = concealer.copy()
    for few in (np.zeros(0, np.float32), SPEECH[:319]):  # less than 20 ms tell nothing
        concealer.foresee(few, 640)
    straight = before.copy().conceal(1_600)
    assert (concealer.copy().conceal(1_600) == straight).all()
    late = before.copy()
    assert (late.conceal(320) == straight[:320]).all()
    late.foresee(SPEECH[20_000:20_960], 1_600)
    assert (late.conceal(1_280) != straight[320:]).any()
    long = before.copy()
    long.foresee(np.tile(SPEECH, 3), 0)  # of which 60 ms count
    other = before.copy()
    other.foresee(SPEECH[:960], 0)
    assert (long.conceal(1_600) == other.conceal(1_600)).all()


def test_no_foreseen_sample_harms_it(models):
    random = np.random.default_rng(5)
    concealer = Concealer(*models)
    concealer.receive(SPEECH[:16_000])
    for gap in (0, 1, 160, 2**31 - 1):
        hostile = random.choice(np.array([np.nan, np.inf, -np.inf, 1e38, -1e38, 0, 1], np.float32), 960)
        concealer.foresee(hostile, gap)
        made = concealer.conceal(3_200)
        assert np.isfinite(made).all()
        assert np.abs(made).max() <= 1
        concealer.receive(SPEECH[:160])
    with pytest.raises(ValueError, match="gap"):
        concealer.foresee(SPEECH[:960], -1)
    with pytest.raises(TypeError, match="float32"):
        concealer.foresee(np.zeros(960), 0)


@pytest.fixture(scope="module")
def repeating():
    """A predictor that always says the features of `steady_voice`, and a vocoder that repeats one period."""
    vocoder, predictor = Fargan(VOCODER_SIZES["tiny"]), FeaturePredictor(PREDICTOR_SIZES["tiny"])
    with torch.no_grad():
        vocoder.output.weight.zero_()
        vocoder.output.bias.zero_()
        vocoder.gates.bias[4] = 30
        predictor.output.weight.zero_()
        vocoder.gain.bias[:] = 2  # nothing is clipped
        features = torch.from_numpy(speech_features(steady_voice(16_000), 100)[50])
        features[0] -= LEVEL
        features[1:BARK_BANDS] /= CONTRAST
        predictor.output.bias[:] = features
    return (
        Model.from_bytes(image(predictor_image, predictor, "plc")),
        Model.from_bytes(image(fargan_image, vocoder, "fargan")),
    )


@pytest.mark.parametrize("sample_rate", [8_000, 12_000, 16_000, 24_000, 48_000])
def test_a_steady_voice_goes_on_in_phase_at_every_rate(repeating, sample_rate):
    signal = steady_voice(sample_rate)
    concealer = Concealer(*repeating, sample_rate)
    start = sample_rate // 2
    assert (concealer.receive(signal[:start]) == signal[:start]).all()
    made = concealer.conceal(sample_rate // 20)
    want = signal[start : start + len(made)]
    assert np.sqrt(np.mean((made - want) ** 2) / np.mean(want**2)) < 0.03


@pytest.mark.parametrize("sample_rate", [24_000, 48_000])
def test_what_was_above_8_khz_goes_on_as_noise_of_its_level(repeating, sample_rate):
    random = np.random.default_rng(4)
    spectrum = np.fft.rfft(0.1 * random.standard_normal(sample_rate))
    spectrum[np.fft.rfftfreq(sample_rate, 1 / sample_rate) < 9_000] = 0
    signal = np.fft.irfft(spectrum, sample_rate).astype(np.float32)
    concealer = Concealer(*repeating, sample_rate)
    concealer.receive(signal[: sample_rate // 2])
    made = concealer.conceal(sample_rate // 5)
    hop = sample_rate // 100
    assert abs(power_db(made[: 2 * hop]) - power_db(signal)) < 2
    assert power_db(made[18 * hop :]) < power_db(signal) - 40
    assert np.abs(np.correlate(made[: 2 * hop], signal[-2 * hop :], "full")).max() < 0.9 * (made[: 2 * hop] ** 2).sum()


@pytest.mark.parametrize("sample_rate", [8_000, 12_000, 24_000, 48_000])
def test_copies_and_pieces_are_alike_at_every_rate(models, sample_rate):
    signal = voice(np.random.default_rng(5), 1.0, sample_rate)
    concealer = Concealer(*models, sample_rate)
    concealer.receive(signal)
    other = concealer.copy()
    whole = concealer.conceal(sample_rate // 10)
    pieces = [other.conceal(sample_rate // 400) for _ in range(20)]
    other = other.copy()
    pieces += [other.conceal(sample_rate // 400) for _ in range(20)]
    assert (np.concatenate(pieces) == whole).all()
    assert (concealer.receive(signal) == other.receive(signal)).all()


def test_other_rates_are_refused(models):
    with pytest.raises(ValueError, match="sample_rate must be 8000"):
        Concealer(*models, 44_100)
