import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from vivavoce.redundancy.loss import distortion, loudness_of
from vivavoce.redundancy.payload import LEVELS, MAX_MAGNITUDE
from vivavoce.redundancy.quantiser import Quantiser
from vivavoce.redundancy.rdovae import CHUNK, SIZES, STRIDE, RdoVae
from vivavoce.redundancy.train import CHUNKS, Coder, cut


@pytest.fixture
def vae():
    torch.manual_seed(0)
    return RdoVae(SIZES["tiny"]).eval()


@pytest.fixture
def features():
    return torch.randn(2, 240, 20, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_the_encoder_is_causal(vae, features):
    other = features.clone()
    other[:, 100:] = 0
    for one, two in zip(vae.encoder(features), vae.encoder(other), strict=True):
        assert torch.equal(one[:, : 100 // STRIDE], two[:, : 100 // STRIDE])
        assert not torch.equal(one[:, 100 // STRIDE], two[:, 100 // STRIDE])


@torch.no_grad()
def test_the_decoder_needs_nothing_older_than_what_it_decodes(vae):
    latents, state = torch.randn(2, 20, 16), torch.randn(2, 16)
    levels = torch.arange(20).expand(2, -1) % LEVELS
    whole = vae.decoder(latents, state, levels)
    assert whole.shape == (2, 20, CHUNK, 20)
    for count in (1, 7):
        part = vae.decoder(latents[:, :count], state, levels[:, :count])
        torch.testing.assert_close(part, whole[:, :count])


def test_spans_are_what_packets_describe(features):
    spans = cut({"features": features.numpy()}, np.random.default_rng(0))
    assert spans["places"].shape == spans["levels"].shape == (2, 2, CHUNKS)
    assert (np.diff(spans["places"], axis=-1) == -2).all()
    frames = STRIDE * (spans["places"] + 1)
    assert CHUNK <= frames.min() < frames.max() <= 240
    assert (np.diff(spans["levels"], axis=-1) >= 0).all()
    assert 0 <= spans["levels"].min() < spans["levels"].max() < LEVELS
    assert set(np.unique(spans["places"] % 2)) == {0, 1}


def test_learning_lowers_the_loss_and_the_rate_is_in_it(vae, features):
    coder = Coder(vae.train())
    batch = {
        name: torch.from_numpy(array)
        for name, array in cut({"features": features.numpy()}, np.random.default_rng(0)).items()
    }
    optimizer = torch.optim.Adam(coder.parameters(), 3e-3)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss, terms = coder(batch)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in coder.parameters())
    coder.share = coder.state_share = 0.0
    assert float(coder(batch)[0].detach()) < losses[-1]
    assert set(terms) == {"distortion", "bits", "state_bits"}


@pytest.mark.parametrize("level", [0, 7, 15])
def test_the_rate_is_the_information_of_the_distribution(level):
    torch.manual_seed(0)
    quantiser = Quantiser(3)
    for weight in quantiser.parameters():
        weight.data += 0.1 * torch.randn_like(weight)
    numbers = quantiser.at(torch.tensor(level))
    steps = torch.arange(-3000, 3001)[:, None].expand(-1, 3)
    torch.testing.assert_close((2 ** -numbers.bits(steps.float())).sum(0), torch.ones(3), rtol=0, atol=1e-3)
    torch.testing.assert_close((2 ** -numbers.soft_bits(steps.float())).sum(0), torch.ones(3), rtol=0, atol=1e-3)


def test_training_knows_how_large_a_number_can_be():
    quantiser, values = Quantiser(2), torch.tensor([[1e3, -1e3]])
    for whole in (True, False):
        decoded, _, _ = quantiser(values, torch.zeros(1), torch.tensor([[whole]]))
        assert torch.allclose(decoded * quantiser.at(torch.zeros(1)).scale, MAX_MAGNITUDE * values.sign(), atol=0.5)


def test_coarser_levels_have_wider_steps_and_small_numbers_become_nothing():
    quantiser = Quantiser(4)
    scales = quantiser.at(torch.arange(LEVELS)).scale
    assert (scales.diff(dim=0) < 0).all()
    decoded, _, bits = quantiser(torch.full((1, 4), 0.4) / scales[5], torch.tensor([5]), torch.tensor(True))
    assert torch.equal(decoded, torch.zeros(1, 4))
    assert float(bits.detach()) > 0


def test_distortion_is_of_what_is_heard():
    truth = torch.randn(6, 20, generator=torch.Generator().manual_seed(2))
    loudness = loudness_of(truth[None])
    assert torch.equal(distortion(truth, truth, loudness), torch.zeros(6))
    pitch = truth + torch.nn.functional.one_hot(torch.tensor(18), 20)
    unvoiced, voiced = truth.clone(), truth.clone()
    unvoiced[:, 19], voiced[:, 19] = -0.5, 0.5
    assert float(distortion(pitch, pitch.clone(), loudness).sum()) == 0
    for reference, at_least in ((unvoiced, -1e-6), (voiced, 1.0)):
        made = reference.clone()
        made[:, 18] += 1
        assert float(distortion(made, reference, loudness).min()) >= at_least
    unvoiced_pitch = unvoiced.clone()
    unvoiced_pitch[:, 18] += 1
    assert float(distortion(unvoiced_pitch, unvoiced, loudness).max()) < 1e-6
    louder = truth.clone()
    louder[:, 0] += 0.5
    much_louder = truth.clone()
    much_louder[:, 0] += 1.0
    small, large = (distortion(made, truth, loudness) for made in (louder, much_louder))
    assert (large > 3 * small).all()
