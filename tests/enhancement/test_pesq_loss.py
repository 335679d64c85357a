import numpy as np
import pytest

torch = pytest.importorskip("torch")

from noisy_bands import ALL_BANDS, SPEECH, energies, noisy  # noqa: E402
from vivavoce.enhancement.pesq_loss import HEARD, pesq_distance  # noqa: E402
from vivavoce.evaluation.metrics import pesq_wb  # noqa: E402


def distance(clean, denoised, mask=ALL_BANDS):
    return float(pesq_distance(energies(clean), energies(denoised), mask))


def raw(mos):
    """Before the mapping of P.862.2."""
    return (3.8224 - np.log(4 / (mos - 0.999) - 1)) / 1.3669


@pytest.mark.parametrize("snr_db", [0, 10, 20, 30])
def test_it_follows_pesq(snr_db):
    assert 4.5 - distance(SPEECH, noisy(snr_db)) == pytest.approx(raw(pesq_wb(SPEECH, noisy(snr_db))), abs=0.35)


def test_clean_speech_is_at_no_distance_at_any_level():
    assert distance(SPEECH, SPEECH) < 0.05
    assert distance(SPEECH, 0.1 * SPEECH) < 0.05
    assert distance(SPEECH, noisy(5)) == pytest.approx(distance(SPEECH, 0.1 * noisy(5)), abs=1e-3)


def test_what_is_added_is_worse_than_what_is_missing():
    speech = energies(SPEECH)
    louder, fainter = speech.clone(), speech.clone()
    louder[:, 100:200, 10:20:2] *= 10
    fainter[:, 100:200, 10:20:2] /= 10
    assert float(pesq_distance(speech, louder, ALL_BANDS)) > float(pesq_distance(speech, fainter, ALL_BANDS)) + 0.25


def test_a_colour_that_stays_is_forgiven():
    speech = energies(SPEECH)
    assert float(pesq_distance(speech, speech * torch.linspace(0.5, 2, 34), ALL_BANDS)) < 0.1


def test_bands_that_are_masked_or_not_heard_do_not_count():
    speech = energies(SPEECH)
    wrong = speech.clone()
    wrong[:, 100:200, HEARD:] += 1e3
    assert float(pesq_distance(speech, wrong, ALL_BANDS)) < 0.05
    wrong[:, 100:200, 20:] += 1e3
    mask = ALL_BANDS.clone()
    mask[..., 20:] = 0
    assert float(pesq_distance(speech, wrong, mask)) < 0.05
    assert float(pesq_distance(speech, wrong, ALL_BANDS)) > 1


@pytest.mark.parametrize("clean", [0.0, 1e-6, 1e6])
@pytest.mark.parametrize("denoised", [0.0, 1e-6, 1e6])
@pytest.mark.parametrize("frames", [1, 40, 100])
def test_gradients_are_finite_whatever_comes(clean, denoised, frames):
    got = torch.full((1, frames, 34), denoised, requires_grad=True)
    pesq_distance(torch.full((1, frames, 34), clean), got, ALL_BANDS).sum().backward()
    assert torch.isfinite(got.grad).all()
