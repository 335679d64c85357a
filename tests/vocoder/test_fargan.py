import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from vivavoce.signal.cepstrum import FEATURES, HOP, period_of_feature
from vivavoce.vocoder.fargan import (
    MEMORY,
    PREDICTION,
    SIZES,
    SUBFRAME,
    Fargan,
    period_taps,
    periods_of,
    subframe_periods,
)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Fargan(SIZES["tiny"])


def random_features(frames, batch=2):
    random = np.random.default_rng(0)
    features = random.normal(0, 1, (batch, frames, FEATURES))
    features[..., 18] = random.uniform(-1.5, 1.5, (batch, frames))
    return torch.from_numpy(features.astype(np.float32))


def test_the_paper_s_size():
    count = sum(weight.numel() for weight in Fargan(SIZES["base"]).parameters())
    assert 0.8e6 < count < 0.83e6


def test_periods_are_those_of_the_features():
    features = random_features(200)
    assert periods_of(features).numpy().tolist() == period_of_feature(features[..., 18].numpy()).tolist()


def test_taps_lie_one_period_back_and_repeat_where_that_is_too_short():
    taps = period_taps(torch.tensor([32, 40, 256]))
    assert taps.shape == (3, PREDICTION)
    assert taps.min() >= 0
    assert taps.max() < MEMORY
    past = torch.arange(MEMORY) - MEMORY  # each sample says how long ago it was
    assert past[taps[2]].tolist() == list(range(-258, -214))
    assert past[taps[0]].tolist() == [*range(-34, 0), *range(-32, -22)]


def test_periods_glide_within_a_frame_and_jump_between_voices():
    periods = subframe_periods(torch.tensor([[100, 100, 108, 200, 200]]))
    assert periods[0].tolist() == [[101, 103, 105, 107], [108, 108, 200, 200], [200, 200, 200, 200]]


def test_what_is_made_depends_on_known_samples_and_one_frame_ahead_alone(model):
    features, past = random_features(8), 0.01 * torch.randn(2, MEMORY)
    truth = 0.01 * torch.randn(2, 2 * HOP)
    with torch.no_grad():
        made = model(features, past, 2, truth)
        assert made.shape == (2, 6 * HOP)
        later = features.clone()
        later[:, 6:] += 1
        assert torch.equal(model(later, past, 2, truth)[:, : 4 * HOP], made[:, : 4 * HOP])
        assert not torch.equal(model(later, past, 2, truth)[:, 4 * HOP :], made[:, 4 * HOP :])
        other = model(features, past, 2, -truth)
        assert not torch.equal(other[:, SUBFRAME:], made[:, SUBFRAME:])


def test_samples_stay_within_the_gain(model):
    features = random_features(20)
    features[..., 0] = -12.5
    with torch.no_grad():
        assert model(features, torch.zeros(2, MEMORY)).abs().max() < 1e-3
        features[..., 0] = 100
        assert model(features, torch.zeros(2, MEMORY)).abs().max() <= 2 * np.e


def test_it_learns_a_voice(model):
    """Sixty steps on one sequence: the loss must fall by a third."""
    from vivavoce.vocoder.train import loss_of

    time = torch.arange(MEMORY + 12 * HOP)
    signal = sum(0.01 * torch.cos(2 * torch.pi * k * time / 80) for k in range(1, 20))
    features = torch.zeros(2, 14, FEATURES)
    features[..., 18] = float(np.log2(256 / 80) - 1.5)
    batch = {"features": features, "samples": signal.expand(2, -1)}
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss, terms = loss_of(model, batch)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 2 / 3 * losses[0]
    assert terms.keys() == {"spectral", "join"}
