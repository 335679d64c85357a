"""The recurrence of training, held to PyTorch's own."""

import pytest

pytest.importorskip("torch")

import torch
from torch.nn import functional

from vivavoce.vocoder.recurrence import CHUNK, recurrent


@pytest.mark.parametrize("samples", [1, CHUNK, 2 * CHUNK + 7])
def test_states_and_gradients_are_those_of_pytorch(samples):
    torch.manual_seed(0)
    gru = torch.nn.GRU(6, 8, dtype=torch.float64)
    inputs = torch.randn(samples, 3, 6, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(samples, 3, 8, dtype=torch.float64)

    def gradients(states):
        return torch.autograd.grad((states * weights).sum(), [inputs, *gru.parameters()])

    want, _ = gru(inputs)
    made = recurrent(gru, functional.linear(inputs, gru.weight_ih_l0, gru.bias_ih_l0))
    torch.testing.assert_close(made, want)
    torch.testing.assert_close(gradients(made), gradients(want))
