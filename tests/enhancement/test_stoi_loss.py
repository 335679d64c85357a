import pytest

torch = pytest.importorskip("torch")

from noisy_bands import ALL_BANDS, SPEECH, energies, noisy  # noqa: E402
from vivavoce.enhancement.stoi_loss import FIRST, LAST, stoi_distance  # noqa: E402
from vivavoce.evaluation.metrics import stoi  # noqa: E402

CLEAN = energies(SPEECH)
VOICE = (CLEAN.sum(-1) > 1e-4 * CLEAN.sum(-1).max()).float()


def distance(denoised, mask=ALL_BANDS, voice=VOICE):
    return float(stoi_distance(CLEAN, denoised, voice, mask))


@pytest.mark.parametrize("snr_db", [0, 5, 10, 20])
def test_it_follows_stoi(snr_db):
    assert 1 - distance(energies(noisy(snr_db))) == pytest.approx(stoi(SPEECH, noisy(snr_db)), abs=0.08)


def test_the_truth_is_at_no_distance_at_any_level_and_colour():
    assert distance(CLEAN) == pytest.approx(0, abs=1e-5)
    assert distance(CLEAN * torch.linspace(0.1, 0.001, 34)) == pytest.approx(0, abs=1e-5)


def test_a_faint_band_counts_as_much_as_a_loud_one():
    faint, loud = CLEAN.clone(), CLEAN.clone()
    band = int(CLEAN.mean((0, 1))[FIRST:LAST].argmin()) + FIRST
    loudest = int(CLEAN.mean((0, 1))[FIRST:LAST].argmax()) + FIRST
    faint[..., band], loud[..., loudest] = 1e-3, 1e-3
    assert distance(faint) == pytest.approx(distance(loud), rel=0.5)
    assert distance(faint) > 0.5 / (LAST - FIRST)


def test_masked_bands_and_pauses_do_not_count():
    wrong = CLEAN.clone()
    wrong[..., LAST - 3 :] = 1
    mask = ALL_BANDS.clone()
    mask[..., LAST - 3 :] = 0
    assert distance(wrong) > 0.05
    assert distance(wrong, mask) == pytest.approx(0, abs=1e-5)
    assert distance(wrong, voice=torch.zeros_like(VOICE)) == 0


@pytest.mark.parametrize("clean", [0.0, 1e-6, 1e6])
@pytest.mark.parametrize("denoised", [0.0, 1e-6, 1e6])
@pytest.mark.parametrize("frames", [1, 30, 100])
def test_gradients_are_finite_whatever_comes(clean, denoised, frames):
    got = torch.full((1, frames, 34), denoised, requires_grad=True)
    stoi_distance(torch.full((1, frames, 34), clean), got, torch.ones(1, frames), ALL_BANDS).sum().backward()
    assert torch.isfinite(got.grad).all()
