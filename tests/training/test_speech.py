import pickle
from dataclasses import replace

import numpy as np
import pytest

from vivavoce.training.level import active_power, level_db
from vivavoce.training.speech import PEAK, SAMPLE_RATE, SpeechConfig, SpeechMaker

PLAIN = SpeechConfig(seconds=1.0, other_rate=0, tilted=0)


def test_an_item_depends_on_seed_and_index_alone(speech):
    config = replace(PLAIN, other_rate=0.5, tilted=0.5)
    one, other = SpeechMaker(speech, config, 1), pickle.loads(pickle.dumps(SpeechMaker(speech, config, 1)))
    later = [one.speech(index) for index in (7, 3)]
    for index, samples in zip((7, 3), later, strict=True):
        assert (other.speech(index) == samples).all()
    assert (one.speech(6) != one.speech(7)).any()
    assert (SpeechMaker(speech, config, 2).speech(7) != one.speech(7)).any()


def test_items_have_their_length_and_a_level_within_the_range(speech):
    maker = SpeechMaker(speech, PLAIN)
    for index in range(12):
        samples = maker.speech(index)
        assert samples.shape == (SAMPLE_RATE,)
        assert samples.dtype == np.float32
        assert np.abs(samples).max() <= PEAK + 1e-6
        assert -45.1 <= level_db(active_power(samples)) <= -11.9


def test_both_polarities_occur(speech):
    maker = SpeechMaker(speech, PLAIN)
    means = {np.sign((maker.speech(index).astype(float) ** 3).sum()) for index in range(12)}
    assert means == {-1.0, 1.0}


def test_bad_arguments(speech):
    with pytest.raises(ValueError, match="seconds"):
        SpeechMaker(speech, SpeechConfig(seconds=0))
    with pytest.raises(ValueError, match="index"):
        SpeechMaker(speech, PLAIN).speech(-1)
