import pytest

pytest.importorskip("torch")

import torch

from vivavoce.vocoder.disturbance import disturbance, loudness_distance


@pytest.fixture
def noise():
    return 0.01 * torch.randn(3, 9_600, generator=torch.Generator().manual_seed(0))


def test_loudness_counts_what_is_heard_and_no_level(noise):
    assert float(loudness_distance(noise, noise, 16_000)) == 0
    quieter = float(loudness_distance(0.5 * noise, noise, 16_000))
    assert quieter == pytest.approx(1 - 0.25**0.23, rel=0.1)
    assert float(loudness_distance(5 * noise, 10 * noise, 16_000)) == pytest.approx(quieter, rel=0.02)
    time = torch.arange(noise.shape[1]) / 16_000
    masked = 1e-4 * torch.sin(2 * torch.pi * 1_000 * time)
    assert float(loudness_distance(noise + masked, noise, 16_000)) < 0.1 * quieter


def test_loudness_of_silence_has_a_gradient():
    made = torch.zeros(2, 2_720, requires_grad=True)
    loudness_distance(made, torch.zeros(2, 2_720), 16_000).backward()
    assert torch.isfinite(made.grad).all()


def test_another_level_disturbs_little_another_timbre_does(noise):
    other, tilted = noise.roll(1_000, 1), noise - 0.5 * torch.nn.functional.pad(noise, (1, -1))
    level, timbre, another = (float(disturbance(made, noise, 16_000)) for made in (0.5 * noise, tilted, other))
    assert level < 0.01 < 0.1 * another < timbre < another
    assert float(disturbance(noise, noise, 16_000)) < 0.01
    for made in (0.5 * noise, tilted):
        assert float(loudness_distance(made, noise, 16_000)) > 0.5 * float(loudness_distance(other, noise, 16_000))


def test_what_was_added_disturbs_more_than_what_is_missing():
    time = torch.arange(9_600) / 16_000
    low, high = (torch.sin(2 * torch.pi * hertz * time)[None] for hertz in (500, 2_000))
    both = low + 0.3 * high
    assert float(disturbance(both, low, 16_000)) > 1.2 * float(disturbance(low, both, 16_000)) > 0.5


def test_pre_emphasis_is_undone(noise):
    made = noise + 0.003 * torch.randn(noise.shape, generator=torch.Generator().manual_seed(1))
    plain = float(disturbance(made, noise, 16_000))
    delayed = [torch.nn.functional.pad(x, (1, -1)) for x in (made, noise)]
    a, b = made - 0.85 * delayed[0], noise - 0.85 * delayed[1]
    assert float(disturbance(a, b, 16_000, 0.85)) == pytest.approx(plain, rel=0.03)
    assert float(disturbance(a, b, 16_000)) != pytest.approx(plain, rel=0.03)


def test_the_level_of_both_does_not_matter(noise):
    made = noise.roll(1_000, 1)
    assert float(disturbance(30 * made, 30 * noise, 16_000)) == pytest.approx(
        float(disturbance(made, noise, 16_000)), rel=0.01
    )


@pytest.mark.parametrize("truth", [0.0, 1.0])
def test_disturbance_of_silence_and_of_equals_has_a_gradient(truth, noise):
    made = (truth * noise).requires_grad_()
    disturbance(made, truth * noise, 16_000).backward()
    assert torch.isfinite(made.grad).all()
