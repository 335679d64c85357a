"""A gap whose features were told: what is made has them, with the shipped weights."""

import numpy as np
import pytest

from corpora import voice
from vivavoce._core import Concealer, Model, speech_features
from vivavoce.audio import resample
from vivavoce.models import find_model
from vivavoce.signal.cepstrum import BARK_BANDS, dct_matrix

BEFORE, GAP = 1.0, 0.6
FRAMES = round(100 * GAP)


@pytest.fixture(scope="module")
def models():
    return tuple(Model(str(find_model(name))) for name in ("plc-base-v1", "fargan-base-v1"))


@pytest.fixture(scope="module")
def speech():
    return voice(np.random.default_rng(4), 3.0, 48_000)


def at(speech, sample_rate):
    return resample(speech, 48_000, sample_rate).astype(np.float32)


def told(speech, sample_rate):
    """Frames of the gap and one more, centred at its beginning and every 10 ms after it."""
    samples = at(speech, 16_000)
    return speech_features(samples, len(samples) // 160)[round(100 * BEFORE) :][: FRAMES + 2].copy()


def error_db(made, speech):
    """Mean difference of the bands between what was made in the gap and the truth, loud frames alone."""
    features = [speech_features(x, len(x) // 160) for x in (made, at(speech, 16_000)[: len(made)])]
    here = slice(round(100 * BEFORE) + 2, round(100 * (BEFORE + GAP)) - 2)
    bands = [part[here, :BARK_BANDS] @ dct_matrix() for part in features]
    loud = features[1][here, 0] > features[1][here, 0].max() - 6
    return 10 * float(np.abs(bands[0] - bands[1])[loud].mean())


def played(concealer, speech, sample_rate, tell=lambda concealer: None):
    samples = at(speech, sample_rate)
    first, count = round(BEFORE * sample_rate), round(GAP * sample_rate)
    concealer.receive(samples[:first])
    tell(concealer)
    gap = concealer.conceal(count)
    return np.concatenate([samples[:first], gap])


@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 48_000])
def test_what_is_made_has_the_features_that_were_told(models, speech, sample_rate):
    features = told(speech, sample_rate)
    guessed = played(Concealer(*models, sample_rate), speech, sample_rate)
    made = played(Concealer(*models, sample_rate), speech, sample_rate, lambda c: c.tell(features, 0))
    errors = [error_db(at_16k(part, sample_rate), speech) for part in (made, guessed)]
    limit = 1.0 if sample_rate == 8_000 else 0.5  # the upper half of the bands is out of its reach
    assert errors[0] < limit * errors[1]
    assert np.abs(made).max() <= 1


def at_16k(samples, sample_rate):
    return resample(samples, sample_rate, 16_000).astype(np.float32)


def test_when_it_is_told_does_not_matter_as_long_as_it_is_in_time(models, speech):
    features = told(speech, 16_000)
    whole = played(Concealer(*models, 16_000), speech, 16_000, lambda c: c.tell(features, 0))
    concealer = Concealer(*models, 16_000)
    samples = at(speech, 16_000)
    concealer.receive(samples[:16_000])
    concealer.tell(features[:20], 0)
    parts = [concealer.conceal(1_600)]
    concealer.tell(features[15:], 15 * 160)
    concealer.tell(features[:3] + 5, 0)  # the past
    copy = concealer.copy()
    parts.append(concealer.conceal(8_000))
    assert (np.concatenate(parts) == whole[16_000:]).all()
    assert (copy.conceal(8_000) == parts[1]).all()


def test_behind_what_was_told_it_is_guessed_and_fades(models, speech):
    features = told(speech, 16_000)[:20]
    concealer = Concealer(*models, 16_000)
    concealer.receive(at(speech, 16_000)[:16_000])
    concealer.tell(features, 0)
    gap = concealer.conceal(16_000)
    assert np.square(gap[12_800:]).sum() < 0.01 * np.square(gap[:3_200]).sum()
    guessed = played(Concealer(*models, 16_000), speech, 16_000)[16_000:]
    later = slice(1_600, 3_200)  # what was guessed from the beginning has begun to fade
    assert np.square(gap[later]).sum() > np.square(guessed[later]).sum()


def test_what_is_told_too_late_leads_what_is_guessed_next(models, speech):
    features = told(speech, 16_000)
    samples = at(speech, 16_000)
    unaided, led = Concealer(*models, 16_000), Concealer(*models, 16_000)
    made = []
    for concealer in (unaided, led):
        concealer.receive(samples[:16_000])
        first = concealer.conceal(3_200)
        if concealer is led:
            concealer.tell(features[:20], 0)
        made.append(np.concatenate([first, concealer.conceal(1_600)]))
    assert (made[0][:3_200] == made[1][:3_200]).all()
    truth = samples[16_000:20_800]
    bands = [speech_features(part, 30)[22:, :BARK_BANDS] @ dct_matrix() for part in (truth, *made)]
    guessed, followed = (float(np.abs(part - bands[0]).mean()) for part in bands[1:])
    assert followed < 0.5 * guessed


def test_what_is_wrong_before_the_gap_is_taken_off_in_it(models, speech):
    samples = at(speech, 16_000)
    first = round(100 * BEFORE)
    features = speech_features(samples, len(samples) // 160)[first - 1 :][:9].copy()
    features[:, 1:6] += 2
    made = []
    for known in (1, 0):
        concealer = Concealer(*models, 16_000)
        concealer.receive(samples[: 160 * first])
        concealer.tell(features[1 - known :], -160 * known)
        made.append(concealer.conceal(1_120))
    truth = samples[160 * first :][:1_120]
    bands = [speech_features(part, 7)[1:, :BARK_BANDS] @ dct_matrix() for part in (truth, *made)]
    corrected, as_told = (float(np.abs(part - bands[0]).mean()) for part in bands[1:])
    assert corrected < 0.9 * as_told


@pytest.mark.parametrize("wild", [np.nan, np.inf, -np.inf, 1e38, 60, -60], ids=str)
def test_nothing_that_is_told_harms_it(models, speech, wild):
    concealer = Concealer(*models, 48_000)
    concealer.receive(speech[:48_000])
    concealer.tell(np.full((200, 20), wild, np.float32), -4_800)
    made = concealer.conceal(96_000)
    assert np.isfinite(made).all()
    assert np.abs(made).max() <= 1
    assert np.isfinite(concealer.receive(speech[:960])).all()


def test_bad_arguments_are_refused(models):
    concealer = Concealer(*models, 16_000)
    with pytest.raises(ValueError, match="features must have shape"):
        concealer.tell(np.zeros((2, 19), np.float32), 0)
    with pytest.raises(TypeError, match="float32"):
        concealer.tell(np.zeros((2, 20)), 0)
    for far in (-(2**50), 2**50):
        concealer.tell(np.zeros((2, 20), np.float32), far)
    concealer.tell(np.zeros((0, 20), np.float32), 0)
