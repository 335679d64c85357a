import pytest

torch = pytest.importorskip("torch")

from vivavoce.enhancement.model import (  # noqa: E402
    SIZES,
    WEIGHT_LIMIT,
    PercepNet,
    core_weights,
    load_core_weights,
)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return PercepNet(SIZES["tiny"])


def features(frames=20, batch=2):
    return torch.randn(batch, frames, 70, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("size", "count"), [("large", 7_962_564 + 2561), ("small", 1_712_805)])
def test_sizes_are_those_of_the_paper_and_voice_activity(size, count):
    assert sum(weight.numel() for weight in PercepNet(SIZES[size]).parameters()) == count


def test_outputs_do_not_depend_on_the_future(model):
    x = features()
    changed = x.clone()
    changed[:, 10:] += 1
    for before, after in zip(model(x), model(changed), strict=True):
        assert torch.equal(before[:, :10], after[:, :10])
        assert not torch.equal(before[:, 10:], after[:, 10:])


def test_first_weights_let_every_layer_see_the_features(model):
    x = 3 * features(200) - 5
    model.initialise(x)
    entered = model.input(x)
    assert entered.mean(dim=(0, 1)).abs().max() < 0.1
    assert 0.8 < entered.std() < 1.2
    seen = []
    for layer in (model.gru1, model.gru2, model.gru3, model.gains_gru):
        layer.register_forward_hook(lambda layer, inputs, output: seen.append(inputs[0].std(dim=1).mean()))
    model(x)
    assert min(seen) > 0.1, seen  # with PyTorch's own first weights: 0.013
    for layer in (model.gru1, model.strengths_gru):
        update = torch.sigmoid(layer.bias_ih_l0[layer.hidden_size : 2 * layer.hidden_size])
        frames = 1 / (1 - update)
        assert frames.min() > 1.4
        assert frames.max() < 201
        recurrent = layer.weight_hh_l0[: layer.hidden_size]
        torch.testing.assert_close(recurrent @ recurrent.T, torch.eye(layer.hidden_size), atol=1e-4, rtol=0)


def test_rounding_changes_little_and_lets_gradients_pass(model):
    x = features()
    plain = model(x)
    model.quantised = True
    rounded = model(x)
    for a, b in zip(plain, rounded, strict=True):
        assert 0 < (a - b).abs().max() < 0.05
    rounded[0].sum().backward()
    for name, weight in model.named_parameters():
        if not name.startswith("strengths"):
            assert weight.grad is not None, name
            assert weight.grad.abs().sum() > 0, name


def test_weights_are_bounded_for_int8(model):
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(20)
    model.clamp_weights()
    for name, weight in model.named_parameters():
        bounded = weight.dim() > 1 and not name.startswith("input.")
        assert (weight.abs().max() <= WEIGHT_LIMIT) == bounded, name


def test_weights_under_the_names_of_files(model):
    other = PercepNet(SIZES["tiny"])
    load_core_weights(other, core_weights(model))
    assert torch.equal(other(features())[0], model(features())[0])
    assert not any(name.endswith("_l0") for name in core_weights(model))


def test_weights_of_another_size_are_refused(model):
    with pytest.raises(ValueError, match="another network"):
        load_core_weights(model, core_weights(PercepNet(SIZES["small"])))
