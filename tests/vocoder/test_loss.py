import pytest

pytest.importorskip("torch")

import torch

from vivavoce.vocoder.loss import spectral_convergence, vocoder_loss


@pytest.fixture
def noise():
    return 0.01 * torch.randn(3, 2_720, generator=torch.Generator().manual_seed(0))


def test_equal_signals_lose_nothing(noise):
    loss, terms = vocoder_loss(noise, noise, 320, 160)
    assert 0 <= float(loss) < 0.004
    assert set(terms) == {"spectral", "join", "disturbance"}


def test_silence_loses_about_everything_and_level_does_not_matter(noise):
    loss = float(spectral_convergence(torch.zeros_like(noise), noise))
    assert 0.85 < loss < 1
    assert float(spectral_convergence(100 * noise + 0, 100 * noise)) == pytest.approx(0, abs=0.004)
    quieter = float(spectral_convergence(0.5 * noise, noise))
    assert float(spectral_convergence(5 * noise, 10 * noise)) == pytest.approx(quieter, rel=0.02)
    assert quieter == pytest.approx(1 - 0.5**0.5, rel=0.05)


def test_the_sign_of_the_first_free_frame_counts(noise):
    made = noise.clone()
    made[:, 320:480] *= -1
    assert float(vocoder_loss(made, noise, 320, 160)[1]["join"]) == pytest.approx(2, abs=1e-3)


def test_resolutions_that_a_signal_is_too_short_for_are_left_out(noise):
    short = noise[:, :200]
    assert float(spectral_convergence(0 * short, short)) > 0.8


def test_silence_has_a_gradient():
    made = torch.zeros(2, 2_720, requires_grad=True)
    vocoder_loss(made, torch.zeros(2, 2_720), 320, 160)[0].backward()
    assert torch.isfinite(made.grad).all()
