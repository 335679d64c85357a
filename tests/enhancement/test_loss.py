from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from vivavoce.enhancement.dnsmos_loss import dnsmos_distance  # noqa: E402
from vivavoce.enhancement.loss import LossWeights, Targets, applied_gains, percepnet_loss  # noqa: E402
from vivavoce.enhancement.postfilter import envelope_postfilter, limit_decay  # noqa: E402

PLAIN = LossWeights(pesq=0, stoi=0, level=0, residual=0)  # which look behind the post-filter


def targets(gains, strengths, mask=None):
    shape = gains.shape
    voice = torch.ones(shape[:2])
    return Targets(
        gains,
        strengths,
        voice,
        torch.zeros(shape),
        torch.ones(shape),
        torch.ones(shape[0], 1, shape[2]) if mask is None else mask,
    )


def logits(values):
    return torch.logit(values.clamp(1e-4, 1 - 1e-4))


def loss(gains, strengths, targets):
    return percepnet_loss((logits(gains), logits(strengths), torch.full(gains.shape[:2], 9.0)), targets, PLAIN)


@pytest.fixture
def truth():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, 5, 34, generator=generator), torch.rand(2, 5, 34, generator=generator)


def test_the_truth_costs_nothing(truth):
    assert loss(*truth, targets(*truth))[0] < 1e-3


def test_attenuating_too_much_costs_more_than_too_little():
    middle, strengths = torch.full((1, 4, 34), 0.25), torch.zeros(1, 4, 34)
    # as far from the root of 0.25 on either side
    over, under = torch.full_like(middle, 0.3**2), torch.full_like(middle, 0.7**2)
    goal = targets(middle, strengths)
    assert loss(over, strengths, goal)[0] > 1.1 * loss(under, strengths, goal)[0]


def test_masked_bands_do_not_count(truth):
    gains, strengths = truth
    mask = torch.ones(2, 1, 34)
    mask[..., 20:] = 0
    wrong = gains.clone()
    wrong[..., 20:] = 1 - wrong[..., 20:]
    assert loss(wrong, strengths, targets(gains, strengths, mask))[0] < 1e-3
    assert loss(wrong, strengths, targets(gains, strengths))[0] > 0.1


def test_masked_bands_do_not_count_behind_the_post_filter_either():
    generator = torch.Generator().manual_seed(1)
    gains, energies = torch.rand(2, 100, 34, generator=generator), torch.rand(2, 100, 34, generator=generator)
    mask = torch.ones(2, 1, 34)
    mask[..., 20:] = 0
    goal = Targets(gains, gains, torch.ones(2, 100), torch.zeros_like(gains), energies, mask)
    said, wrong = gains / 2, gains / 2
    wrong = torch.cat([wrong[..., :20], 1 - wrong[..., 20:]], -1)
    voice = torch.zeros(2, 100)
    one, other = (percepnet_loss((logits(g), logits(gains), voice), goal, LossWeights())[1] for g in (said, wrong))
    for term in ("pesq", "stoi", "level", "residual"):
        torch.testing.assert_close(one[term], other[term], msg=term)
    assert one["pesq"] > 0.1


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_gradients_are_finite_at_the_ends(value):
    gains = torch.full((1, 3, 34), value)
    outputs = [torch.full((1, 3, 34), 40.0 * (1 - 2 * value), requires_grad=True) for _ in range(2)]
    voice = torch.zeros(1, 3, requires_grad=True)
    percepnet_loss((*outputs, voice), targets(gains, gains), LossWeights())[0].backward()
    for output in (*outputs, voice):
        assert torch.isfinite(output.grad).all()


def test_a_wrong_shape_costs_more_than_a_wrong_level_where_there_is_speech():
    gains, strengths = torch.full((1, 4, 34), 0.25), torch.zeros(1, 4, 34)
    goal = targets(gains, strengths)
    signs = torch.ones(34)
    signs[::2] = -1
    level, shape = (torch.full_like(gains, 0.5) + 0.1 * sign for sign in (torch.ones(34), signs))
    assert loss(shape**2, strengths, goal)[1]["shape"] > 0.009
    assert loss(level**2, strengths, goal)[1]["shape"] < 1e-6
    assert loss(shape**2, strengths, goal)[0] > 3 * loss(level**2, strengths, goal)[0]
    goal.voice.zero_()
    assert loss(shape**2, strengths, goal)[1]["shape"] == 0


def test_the_gains_on_the_scales_are_those_that_are_applied():
    generator = torch.Generator().manual_seed(0)
    gains = torch.rand(1, 50, 34, generator=generator) ** 4
    energies = 10 ** (6 * torch.rand(1, 50, 34, generator=generator) - 4)
    want = envelope_postfilter(limit_decay(gains[0].numpy()), energies[0].numpy())
    torch.testing.assert_close(applied_gains(gains, energies)[0], torch.from_numpy(want), atol=5e-3, rtol=0)


def test_the_gradient_of_silence_behind_the_post_filter_is_finite():
    gains = torch.zeros(1, 20, 34, requires_grad=True)
    applied_gains(gains, torch.zeros(1, 20, 34)).sum().backward()
    assert torch.isfinite(gains.grad).all()


def residual(gains, targets):
    logit = torch.zeros(gains.shape[:2])
    return percepnet_loss((logits(gains), logits(gains), logit), targets, LossWeights())[1]["residual"]


def test_noise_left_in_pauses_costs_and_none_does_not():
    """Speech in the first half, at 0 dB; noise 20 dB below it in the second."""
    wanted = torch.ones(1, 40, 34)
    wanted[:, 20:] = 0
    energies = torch.ones(1, 40, 34)
    energies[:, 20:] = 0.01
    voice = wanted[..., 0].clone()
    goal = Targets(wanted, wanted, voice, torch.zeros_like(wanted), energies, torch.ones(1, 1, 34))
    left = wanted.clone()
    left[:, 20:] = 1
    loud, quiet = residual(left, goal), residual(wanted, goal)
    assert loud == pytest.approx(4, abs=0.1)  # -20 dB over what is inaudible at -60 dB
    assert quiet < 0.5  # the limit on decay alone
    speech_gone = wanted.clone()
    speech_gone[:, :20] = 0.1
    assert residual(speech_gone, goal) <= quiet


def test_noise_alone_is_to_become_silent():
    nothing, energies = torch.zeros(1, 40, 34), torch.full((1, 40, 34), 1e-3)
    goal = Targets(nothing, nothing, nothing[..., 0], nothing, energies, torch.ones(1, 1, 34))
    assert residual(torch.ones(1, 40, 34), goal) > 5
    assert residual(nothing, goal) < 0.1


def test_speech_is_to_keep_its_level():
    wanted = torch.full((1, 80, 34), 0.5)
    ones = torch.ones(1, 80, 34)
    goal = Targets(wanted, wanted, ones[..., 0], torch.zeros_like(wanted), ones, torch.ones(1, 1, 34))

    def level(gains):
        return percepnet_loss((logits(gains), logits(gains), goal.voice), goal, LossWeights())[1]["level"]

    assert level(wanted) < 0.01  # what the post-filter does
    assert level(wanted / 3) > 0.5
    goal.voice.zero_()
    assert level(wanted / 3) == 0


def test_dnsmos_hears_what_is_applied_to_the_items_that_it_judges():
    generator = torch.Generator().manual_seed(0)
    gains, energies = torch.rand(3, 60, 34, generator=generator), torch.rand(3, 60, 34, generator=generator)
    sound = 0.1 * torch.randn(2, 9_600, generator=generator)
    judged = torch.tensor([True, False, True])
    plain = Targets(gains, gains, torch.ones(3, 60), torch.zeros_like(gains), energies, torch.ones(3, 1, 34))
    outputs = (logits(gains), logits(gains), torch.zeros(3, 60))
    assert percepnet_loss(outputs, plain, LossWeights())[1]["dnsmos"] == 0
    got = percepnet_loss(outputs, replace(plain, judged=judged, sound=sound), LossWeights())[1]["dnsmos"]
    want = dnsmos_distance(applied_gains(gains.clamp(1e-4, 1 - 1e-4), energies)[judged], sound).mean()
    torch.testing.assert_close(got, want, atol=1e-3, rtol=0)
