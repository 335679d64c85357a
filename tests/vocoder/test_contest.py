import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from vivavoce.vocoder.contest import Contest

WHOLE = slice(None)


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.5))

    def forward(self, samples):
        return self.gain * samples


@pytest.fixture
def noise():
    return 0.1 * torch.randn(2, 1_600, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def contest():
    torch.manual_seed(0)
    return Contest(Scaled(), 0.1, 1_600)


def test_without_a_weight_there_is_no_adversary_and_no_loss(noise):
    contest = Contest(Scaled(), 0.0, 1_600)
    made, loss, terms = contest(noise, WHOLE, noise)
    assert contest.adversary is None
    assert torch.equal(made, 0.5 * noise)
    assert float(loss) == 0
    assert terms == {}


def test_resolutions_that_what_is_judged_is_too_short_for_have_no_judge():
    assert [judge.size for judge in Contest(Scaled(), 0.1, 500).judges] == [64, 128, 256, 512]


def test_judges_do_not_learn_to_be_fooled_nor_the_maker_to_be_told(noise, contest):
    made = contest.maker(noise)
    _, loss, terms = contest(noise, WHOLE, noise)
    judges = list(contest.judges.parameters())
    told = torch.autograd.grad(loss, judges, retain_graph=True)
    fooled = torch.autograd.grad(loss, contest.maker.gain)[0]
    assert all(float(gradient.abs().sum()) > 0 for gradient in told)
    assert float(fooled) != 0
    contest.weight = 1e-9
    _, loss, _ = contest(noise, WHOLE, noise)
    only_telling = torch.autograd.grad(loss, judges, retain_graph=True)
    for one, other in zip(told, only_telling, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)
    assert abs(float(torch.autograd.grad(loss, contest.maker.gain)[0])) < 1e-6
    assert set(terms) == {"fooling", "matching", "telling"}
    assert made.shape == noise.shape


def test_judges_learn_to_tell_a_tone_from_noise(noise, contest):
    tone = 0.14 * torch.sin(0.3 * torch.arange(1_600)).expand(2, -1)
    optimizer = torch.optim.Adam(contest.judges.parameters(), 2e-3)
    telling = []
    for _ in range(25):
        optimizer.zero_grad()
        _, loss, terms = contest(noise, WHOLE, tone)
        loss.backward()
        optimizer.step()
        telling.append(float(terms["telling"]))
    assert telling[-1] < 0.5 * telling[0]


def test_only_what_is_judged_counts(noise, contest):
    other = noise.clone()
    other[:, :400] = 0
    _, loss, _ = contest(noise, slice(400, None), noise)
    assert float(contest(noise, slice(400, None), other)[1].detach()) == pytest.approx(float(loss.detach()))


def test_silence_has_a_gradient(noise, contest):
    _, loss, _ = contest(0 * noise, WHOLE, 0 * noise)
    loss.backward()
    assert all(torch.isfinite(weight.grad).all() for weight in contest.parameters())
