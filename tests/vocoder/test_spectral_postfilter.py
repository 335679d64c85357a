"""FARGAN's spectral postfilter: what it does to samples, and the core's, held to its definition."""

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from corpora import voice
from vivavoce._core import Model, VocoderNetwork, speech_features
from vivavoce.signal.cepstrum import HOP
from vivavoce.vocoder.fargan import SIZES, Fargan
from vivavoce.vocoder.fargan_image import fargan_image
from vivavoce.vocoder.spectral_postfilter import BINS, DELAY, WINDOW, SpectralPostfilter
from vivavoce.vocoder.synthesis import synthesise

METADATA = {"system": "fargan", "name": "fargan-test", "sample_rate": "16000"}
FRAMES = 40


@pytest.fixture
def speech():
    return voice(np.random.default_rng(1), 0.01 * (FRAMES + 1), 16_000).astype(np.float32)


@pytest.fixture
def features(speech):
    return speech_features(speech, FRAMES + 1)


def with_context(features):
    """The features that `SpectralPostfilter` takes, of which the core has not heard the first."""
    return torch.from_numpy(np.concatenate([np.zeros((1, 20), np.float32), features])[None])


def model_of(network):
    return Model.from_bytes(fargan_image({name: w.numpy() for name, w in network.state_dict().items()}, METADATA))


def test_before_it_is_trained_samples_pass_as_they_are(speech, features):
    samples = torch.from_numpy(speech[None, : FRAMES * HOP])
    with torch.no_grad():
        filtered = SpectralPostfilter(16)(samples, with_context(features))
    inner = slice(DELAY * HOP, -DELAY * HOP)
    torch.testing.assert_close(filtered[:, inner], samples[:, inner], atol=1e-6, rtol=0)


def test_a_gain_for_all_bins_is_a_gain(speech, features):
    samples, postfilter = torch.from_numpy(speech[None, : FRAMES * HOP]), SpectralPostfilter(16)
    torch.nn.init.constant_(postfilter.gains.bias, 0.2)
    with torch.no_grad():
        filtered = postfilter(samples, with_context(features))
    gain = np.exp(2 * np.tanh(0.2))
    inner = slice(DELAY * HOP, -DELAY * HOP)
    torch.testing.assert_close(filtered[:, inner], gain * samples[:, inner], atol=1e-5, rtol=0)


@pytest.fixture(params=["tiny", "base"])
def networks(request):
    """A FARGAN without a postfilter that does something, and the same with one."""
    torch.manual_seed(0)
    bare = Fargan(SIZES[request.param])
    filtering = Fargan(SIZES[request.param])
    filtering.load_state_dict(bare.state_dict())
    torch.nn.init.normal_(filtering.postfilter.gains.weight, std=0.1)
    return bare, filtering


def test_the_core_says_what_the_definition_says(networks, features):
    bare, filtering = networks
    made = synthesise(model_of(bare), features)
    filtered = synthesise(model_of(filtering), features)
    with torch.no_grad():
        want = filtering.postfilter(torch.from_numpy(made[None]), with_context(features))[0].numpy()
    inner = slice(DELAY * HOP, -DELAY * HOP)
    power = np.mean(want[inner] ** 2)
    assert np.mean((filtered[inner] - want[inner]) ** 2) < 1e-3 * power
    assert np.mean((made[inner] - want[inner]) ** 2) > 0.02 * power


def test_what_is_known_passes_and_the_filter_fades_in_behind_it(networks, speech, features):
    known = 10
    runs = []
    for network in networks:
        core = VocoderNetwork(model_of(network))
        core.feed(features[:1])
        core.hear(features[1 : known - 1], speech[: (known - 2) * HOP])
        core.follow(features[known - 1 : known + 1], speech[(known - 2) * HOP : known * HOP])
        runs.append(core.synthesise(features[known + 1 : known + 7]))
    bare, filtered = runs
    before = slice(0, DELAY * HOP)
    np.testing.assert_allclose(bare[before], speech[(known - DELAY) * HOP : known * HOP], atol=1e-6)
    # a window of one made frame is not filtered, one of two half
    assert (filtered[:HOP] == bare[:HOP]).all()
    changed = np.abs(filtered - bare).reshape(-1, HOP).max(axis=1)
    assert changed[2] > changed[1] > 0


def test_bins_that_are_too_loud_are_learned_away():
    """A quarter of the spectrum."""
    torch.manual_seed(0)
    postfilter = SpectralPostfilter(16)
    optimizer = torch.optim.AdamW(postfilter.parameters(), 1e-2)
    features = torch.zeros(2, FRAMES + 2, 20)
    truth = torch.randn(2, FRAMES * HOP)
    spectra = torch.fft.rfft(truth)
    spectra[:, spectra.shape[1] // 4 : spectra.shape[1] // 2] *= 2
    made = torch.fft.irfft(spectra, n=truth.shape[1])
    inner = slice(DELAY * HOP, -DELAY * HOP)
    before = float((made - truth)[:, inner].square().mean())
    for _ in range(60):
        optimizer.zero_grad()
        loss = (postfilter(made, features) - truth)[:, inner].square().mean()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < before / 2
    assert postfilter.gain(torch.fft.rfft(made[:, :WINDOW])[:, None], features[:, :5]).shape == (2, 1, BINS + 1)
