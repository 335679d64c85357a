import pytest

torch = pytest.importorskip("torch")

from vivavoce.training.muon import ROOT_MEAN_SQUARE, Muon  # noqa: E402

WIDTH, GATES = 24, 3


def weight_and_optimizer(**settings):
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.zeros(GATES * WIDTH, WIDTH))
    weight.grad = torch.randn(GATES * WIDTH, WIDTH) * torch.logspace(-3, 0, GATES).repeat_interleave(WIDTH)[:, None]
    return weight, Muon([{"params": [weight], "blocks": GATES}], lr=0.1, **settings)


def test_a_step_moves_each_block_alike_in_almost_all_directions():
    weight, optimizer = weight_and_optimizer()
    optimizer.step()
    for block in weight.detach().split(WIDTH):
        singular = torch.linalg.svdvals(block) / (0.1 * ROOT_MEAN_SQUARE * WIDTH**0.5)
        assert singular.max() < 1.3
        assert singular.median() > 0.6


def test_a_step_goes_down_and_decays():
    weight, optimizer = weight_and_optimizer(weight_decay=0.5)
    with torch.no_grad():
        weight.fill_(1.0)
    optimizer.step()
    assert weight.mean().item() == pytest.approx(0.95, abs=0.005)  # 1 - 0.1 * 0.5
    moved = weight.detach() - 0.95
    assert (moved * weight.grad).sum() < 0


def test_convolutions_are_matrices_of_their_outputs():
    weight = torch.nn.Parameter(torch.zeros(8, 4, 5))
    weight.grad = torch.randn(8, 4, 5, generator=torch.Generator().manual_seed(1))
    Muon([{"params": [weight]}], lr=1.0).step()
    singular = torch.linalg.svdvals(weight.detach().flatten(1)) / (ROOT_MEAN_SQUARE * 20**0.5)
    assert singular.min() > 0.6
    assert singular.max() < 1.3


def test_weights_without_a_gradient_stay():
    weight, optimizer = weight_and_optimizer()
    weight.grad = None
    optimizer.step()
    assert not weight.detach().any()
