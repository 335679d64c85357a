import numpy as np
import pytest
import soxr

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from noisy_bands import noisy  # noqa: E402
from vivavoce.enhancement.dnsmos_loss import BEST, HOP, SAMPLE_RATE, denoised_sound, dnsmos_distance  # noqa: E402
from vivavoce.enhancement.features import analyse_noisy  # noqa: E402
from vivavoce.enhancement.synthesis import apply_gains  # noqa: E402
from vivavoce.evaluation.metrics import dnsmos  # noqa: E402

FRAMES = 902  # 9.01 s, what the published program scores at a time
OPEN = torch.ones(1, FRAMES, 34)


def tiled(samples):
    return torch.from_numpy(np.resize(samples, FRAMES * HOP).astype(np.float32))[None]


def opinion(samples):
    return dnsmos(np.resize(samples, FRAMES * HOP))["ovrl"]


def overall(gains, samples):
    return BEST - float(dnsmos_distance(gains, tiled(samples)))


@pytest.mark.parametrize("snr_db", [5, 15, 40])
def test_it_is_dnsmos(snr_db):
    heard = noisy(snr_db)
    assert overall(OPEN, heard) == pytest.approx(opinion(heard), abs=0.03)


def test_what_it_hears_is_what_the_gains_make_of_the_sound():
    random = np.random.default_rng(0)
    sound = soxr.resample(noisy(10), SAMPLE_RATE, 48_000).astype(np.float32)
    frames = len(sound) // 480 - 1
    gains = np.repeat(random.uniform(0.1, 1, (frames // 8 + 1, 34)), 8, axis=0)[:frames]
    silent = np.zeros_like(gains)
    plain = apply_gains(analyse_noisy(sound, frames), gains, silent, postfilter=False, decay_limit=False)
    expected = soxr.resample(plain, 48_000, SAMPLE_RATE)
    got = denoised_sound(torch.from_numpy(gains).float()[None], torch.from_numpy(noisy(10)).float()[None])[0].numpy()
    size = min(len(expected), len(got))
    error = expected[:size] - got[:size]
    assert np.sum(error**2) < 5e-3 * np.sum(expected**2)


def test_gains_that_follow_its_gradient_please_the_published_program():
    sound = tiled(noisy(5))
    gains = (0.8 * OPEN).requires_grad_()
    before = opinion(denoised_sound(gains.detach(), sound)[0].numpy())
    for _ in range(4):
        (gradient,) = torch.autograd.grad(dnsmos_distance(gains, sound).sum(), gains)
        assert torch.isfinite(gradient).all()
        gains = (gains - 0.1 * gradient / gradient.abs().amax()).clamp(0, 1).detach().requires_grad_()
    assert opinion(denoised_sound(gains.detach(), sound)[0].numpy()) > before + 0.1


@pytest.mark.parametrize("level", [0.0, 1e-8, 1.0])
def test_gradients_are_finite_whatever_comes(level):
    gains = torch.full((2, 100, 34), 0.5, requires_grad=True)
    dnsmos_distance(gains, level * torch.randn(2, 16_000, generator=torch.Generator().manual_seed(0))).sum().backward()
    assert torch.isfinite(gains.grad).all()
