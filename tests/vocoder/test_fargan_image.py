"""FARGAN in the core: held to its definition, the same on every path, safe from every feature vector."""

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from corpora import voice
from vivavoce._core import Model, PercepNetNetwork, VocoderNetwork, int8_paths, speech_features
from vivavoce.signal.cepstrum import FEATURES, HOP, LPC_ORDER, PITCH, VOICING, preemphasise
from vivavoce.vocoder.fargan import MEMORY, SIZES, Fargan, Heard
from vivavoce.vocoder.fargan_image import fargan_image
from vivavoce.vocoder.sequences import excitation_of, subframe_predictions
from vivavoce.vocoder.spectral_postfilter import DELAY

METADATA = {"system": "fargan", "name": "fargan-test", "sample_rate": "16000"}


@pytest.fixture(scope="module", params=["tiny", "base"])
def network(request):
    torch.manual_seed(0)
    network = Fargan(SIZES[request.param])
    with torch.no_grad():
        network.gain.weight.normal_(0, 0.1)
        network.gates.bias.uniform_(-1, 1)
    return network


@pytest.fixture(scope="module")
def filtering(network):
    """The same with a postfilter that does something."""
    other = Fargan(network.size)
    other.load_state_dict(network.state_dict())
    torch.nn.init.normal_(other.postfilter.gains.weight, std=0.1)
    return Model.from_bytes(fargan_image(arrays_of(other), METADATA))


def arrays_of(network):
    return {name: weight.numpy() for name, weight in network.state_dict().items()}


def features_of(frames, seed=0):
    random = np.random.default_rng(seed)
    features = random.normal(0, 1, (frames, FEATURES))
    features[:, 0] = random.uniform(-2, 6, frames)
    features[:, PITCH] = np.clip(np.cumsum(random.normal(0, 0.2, frames)), -1.5, 1.5)
    features[:, VOICING] = random.uniform(-0.5, 0.5, frames)
    return features.astype(np.float32)


@pytest.fixture(scope="module")
def model(network):
    return Model.from_bytes(fargan_image(arrays_of(network), METADATA))


def test_the_core_says_what_the_definition_says(network, model):
    """Within what int8 loses: 5 % of the signal over the first frames, before chaos parts them."""
    speech = voice(np.random.default_rng(1), 0.3, 16_000)
    features = speech_features(speech, 30)
    begin, made_frames = 8, 6  # two frames are heard, two followed, the others made
    core = VocoderNetwork(model)
    core.begin(speech[begin * HOP - 17 : begin * HOP])
    core.feed(features[begin : begin + 1])
    core.hear(features[begin + 1 : begin + 3], speech[begin * HOP : (begin + 2) * HOP])
    core.follow(features[begin + 3 : begin + 5], speech[(begin + 2) * HOP : (begin + 4) * HOP])
    late = core.delay * HOP
    made = core.synthesise(features[begin + 5 : begin + 5 + made_frames + core.delay])[late:]

    predictions, levels = subframe_predictions(features)
    sharp = preemphasise(speech.astype(np.float64)).astype(np.float32)
    excitation, at = excitation_of(sharp, predictions), (begin + 2) * HOP
    frames = slice(begin + 2, begin + 4 + made_frames)
    told = [
        features[frames.start - 1 : frames.stop + 1],
        predictions[frames],
        levels[frames],
        excitation[at - MEMORY : at],
        sharp[at - LPC_ORDER : at][::-1].copy(),
        excitation[at : at + 8 * HOP],
    ]
    with torch.no_grad():
        want = network(Heard(*(torch.from_numpy(array[None]) for array in told)), 2, postfiltered=True)[
            0, 2 * HOP :
        ].numpy()
    memory = speech[(begin + 4) * HOP - 1]
    for n, sample in enumerate(want):
        want[n] = memory = sample + 0.85 * memory
    first = slice(0, 2 * HOP)
    assert np.abs(want[first]).max() > 0.01
    error = np.sqrt(np.mean((made[first] - want[first]) ** 2) / np.mean(want[first] ** 2))
    assert error < 0.05


def test_every_path_gives_the_same_bits(filtering):
    features = features_of(40)
    made = [VocoderNetwork(filtering, path).synthesise(features) for path in int8_paths()]
    assert len(made) > 1
    for other in made[1:]:
        assert (other == made[0]).all()


def test_a_copy_goes_on_alike_and_a_reset_begins_anew(filtering):
    features = features_of(30)
    vocoder = VocoderNetwork(filtering)
    whole = vocoder.synthesise(features)
    vocoder.reset()
    vocoder.synthesise(features[:10])
    other = vocoder.copy()
    assert (vocoder.synthesise(features[10:]) == whole[10 * HOP :]).all()
    other.synthesise(features[10:15])
    assert (other.synthesise(features[15:]) == whole[15 * HOP :]).all()


def test_no_features_harm_it(filtering):
    random = np.random.default_rng(2)
    hostile = random.choice(np.array([np.nan, np.inf, -np.inf, 1e38, -1e38, 0, 1, 30], np.float32), (200, FEATURES))
    vocoder = VocoderNetwork(filtering)
    vocoder.begin(random.choice(np.array([np.nan, np.inf, 1e38, 1], np.float32), 17))
    made = vocoder.synthesise(hostile)
    assert np.isfinite(made).all()
    assert np.abs(made).max() <= 1
    vocoder.synthesise(features_of(50))
    assert np.isfinite(vocoder.synthesise(features_of(50))).all()


def test_the_image_tells_the_delay(model):
    assert model.lookahead_frames == 1 + VocoderNetwork(model).delay == 1 + DELAY


def test_a_model_of_another_system_is_refused(model):
    with pytest.raises(ValueError, match="must be a PercepNet"):
        PercepNetNetwork(model)


def test_bad_arguments_are_named(model):
    vocoder = VocoderNetwork(model)
    with pytest.raises(ValueError, match=r"\(frames, 20\)"):
        vocoder.synthesise(np.zeros((3, 19), np.float32))
    with pytest.raises(TypeError, match="float32"):
        vocoder.feed(np.zeros((3, 20)))
    with pytest.raises(ValueError, match=r"\(320,\)"):
        vocoder.follow(np.zeros((2, 20), np.float32), np.zeros(100, np.float32))
    with pytest.raises(ValueError, match=r"\(17,\)"):
        vocoder.begin(np.zeros(3, np.float32))


@pytest.mark.parametrize("name", ["embedding.weight", "gru2.weight_hh", "output.bias"])
def test_a_checkpoint_that_lacks_something_is_refused(network, name):
    arrays = arrays_of(network)
    del arrays[name]
    with pytest.raises(ValueError, match=name.replace(".", r"\.")):
        fargan_image(arrays, METADATA)


def test_metadata_of_another_system_is_refused(network):
    with pytest.raises(ValueError, match="fargan"):
        fargan_image(arrays_of(network), {**METADATA, "system": "percepnet"})
