from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from corpora import voice
from vivavoce._core import speech_features
from vivavoce.signal.cepstrum import FEATURES, HOP, LPC_ORDER, period_of_feature, preemphasise
from vivavoce.vocoder.fargan import PREDICTION, SIZES, Fargan, Heard, lpc_synthesis, period_taps, pitch_postfilter
from vivavoce.vocoder.frames import MEMORY, periods_of, subframe_periods
from vivavoce.vocoder.sequences import excitation_of, subframe_predictions


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
    named = Fargan(SIZES["base"]).named_parameters()
    count = sum(weight.numel() for name, weight in named if not name.startswith("postfilter"))
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


def heard(frames, batch=2, seed=0):
    """Features, and noise for the past; nothing of it fits together."""
    random = torch.Generator().manual_seed(seed)
    features = random_features(frames + 2, batch)
    predictions, levels = zip(*(subframe_predictions(row.numpy()) for row in features), strict=True)
    return Heard(
        features,
        torch.from_numpy(np.stack(predictions)[:, 1:-1]),
        torch.from_numpy(np.stack(levels)[:, 1:-1]),
        0.01 * torch.randn(batch, MEMORY, generator=random),
        0.01 * torch.randn(batch, LPC_ORDER, generator=random),
        0.01 * torch.randn(batch, frames * HOP, generator=random),
    )


def test_what_is_made_depends_on_known_samples_and_one_frame_ahead_alone(model):
    told = heard(6)
    with torch.no_grad():
        made = model(told, 2)
        assert made.shape == (2, 6 * HOP)
        features = told.features.clone()
        features[:, 6:] += 1
        other = model(replace(told, features=features), 2)
        assert torch.equal(other[:, : 4 * HOP], made[:, : 4 * HOP])
        assert not torch.equal(other[:, 4 * HOP :], made[:, 4 * HOP :])
        changed = told.excitation.clone()
        changed[:, 2 * HOP :] = 1
        assert torch.equal(model(replace(told, excitation=changed), 2), made)
        other = model(replace(told, excitation=-told.excitation), 2)
        assert not torch.equal(other[:, 2 * HOP :], made[:, 2 * HOP :])


def test_the_excitation_stays_within_the_gain(model):
    told = heard(20)
    flat = replace(told, predictions=torch.zeros_like(told.predictions), samples_before=torch.zeros(2, LPC_ORDER))
    with torch.no_grad():
        assert model(replace(flat, levels=torch.zeros(2, 20, 4))).abs().max() < 1e-3
        assert model(replace(flat, levels=torch.full((2, 20, 4), 100.0))).abs().max() <= 2 * np.e


def test_the_postfilter_raises_what_repeats_itself_and_only_where_there_is_voice(model):
    told = heard(6)
    voicing = told.features[..., -1]
    with torch.no_grad():
        voicing.fill_(-0.5)
        assert torch.equal(model(told, 2, postfiltered=True), model(told, 2))
        voicing.fill_(0.5)
        assert not torch.equal(model(told, 2, postfiltered=True)[:, 2 * HOP :], model(told, 2)[:, 2 * HOP :])
        assert torch.equal(model(told, 2, postfiltered=True)[:, : 2 * HOP], model(told, 2)[:, : 2 * HOP])
    time = torch.arange(MEMORY + 4 * HOP)
    taps = period_taps(torch.full((1, 4, 4), 80))
    for period, gain in ((80, 1.0), (160, 0.5 / 1.5)):  # in time with the pitch, and against it
        tone = torch.cos(2 * torch.pi * time / period)[None] * 0.1
        made = pitch_postfilter(tone[:, MEMORY:], tone[:, :MEMORY], taps, torch.full((1, 6), 0.5), 0)
        assert made.square().mean().sqrt() / tone.square().mean().sqrt() == pytest.approx(gain, rel=0.02)


def test_the_filter_makes_the_samples_out_of_their_excitation():
    """As lfilter would, sub-frame by sub-frame, through matrices."""
    speech = voice(np.random.default_rng(1), 0.5, 16_000)
    features = speech_features(speech, 50)
    predictions, _ = subframe_predictions(features)
    sharp = preemphasise(speech.astype(np.float64)).astype(np.float32)
    excitation = torch.from_numpy(excitation_of(sharp, predictions))
    made = lpc_synthesis(excitation[None], torch.from_numpy(predictions)[None], torch.zeros(1, LPC_ORDER))[0]
    assert made[: 49 * HOP].numpy() == pytest.approx(sharp[: 49 * HOP], abs=1e-4)
    assert (excitation**2).mean() < 0.9 * (sharp**2).mean()


def test_it_learns_a_voice(model):
    """Sixty steps on one sequence: the loss must fall by a quarter."""
    from vivavoce.vocoder.contest import Contest
    from vivavoce.vocoder.fargan_train import loss_of
    from vivavoce.vocoder.sequences import ItemMaker, cut

    class Speech:
        def speech(self, index):
            time = np.arange(16_000)
            return sum(0.01 * np.cos(2 * np.pi * k * time / 80) for k in range(1, 20)).astype(np.float32)

    items = {name: np.stack(2 * [array]) for name, array in ItemMaker(Speech())(0).items()}
    sequences = cut(items, 10, np.random.default_rng(0))
    batch = {name: torch.from_numpy(array) for name, array in sequences.items()}
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    alone = Contest(model, 0.0, batch["samples"].shape[1])
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss, terms = loss_of(alone, batch)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.75 * losses[0]
    assert terms.keys() == {"spectral", "join", "disturbance"}
