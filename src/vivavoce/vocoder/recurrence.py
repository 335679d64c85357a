"""A gated recurrent unit over thousands of samples, for training on a CPU.

One thread, 32 sequences of 2,720 samples, forward and backward: 0.7 s for 128 units and 0.1 s for 16, where PyTorch's
own takes 1.3 and 0.3 s. What its inputs say is the caller's, who need not say it anew for each sample.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

GATES = 3
CHUNK = 40  # samples


def recurrent(gru: nn.GRU, inputs: Tensor) -> Tensor:
    """States of a GRU of one layer, which begins at 0.

    Args:
        gru: Of which the recurrent weights count.
        inputs: What its input weights and their bias make of its inputs, shape (samples, batch, 3 * width).

    Returns:
        Shape (samples, batch, width).
    """
    return _Scan.apply(inputs, gru.weight_hh_l0, gru.bias_hh_l0)


class _Scan(torch.autograd.Function):
    """The loop, in which nothing is done that can be done for many samples at once, and they stay in the cache."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        samples, batch, width = inputs.shape[0], inputs.shape[1], weight.shape[1]
        states = inputs.new_zeros(samples + 1, batch, width)
        gates, told, candidates = (inputs.new_empty(samples, batch, n * width) for n in (2, 1, 1))
        to_gates, to_candidate = (block.t().contiguous() for block in weight.split([2 * width, width]))
        gate_bias, candidate_bias = bias.split([2 * width, width])
        for at in range(0, samples, CHUNK):
            now = slice(at, at + CHUNK)
            of_gates, of_candidate = inputs[now].split([2 * width, width], -1)
            resets, updates = gates[now].split(width, -1)
            steps = zip(
                *(states[:-1][now].unbind(), states[1:][now].unbind()),
                *((of_gates + gate_bias).unbind(), of_candidate.unbind()),
                *(gates[now].unbind(), resets.unbind(), updates.unbind()),
                *(told[now].unbind(), candidates[now].unbind()),
                strict=True,
            )
            for before, after, input_gates, input_candidate, both, reset, update, recurrent_, made in steps:
                torch.addmm(input_gates, before, to_gates, out=both).sigmoid_()
                torch.addmm(candidate_bias, before, to_candidate, out=recurrent_)
                torch.addcmul(input_candidate, reset, recurrent_, out=made).tanh_()
                torch.lerp(made, before, update, out=after)
        ctx.save_for_backward(weight, states, told, gates, candidates)
        return states[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        weight, states, told, gates, candidates = ctx.saved_tensors
        samples, batch, width = candidates.shape
        to_inputs = gradient.new_empty(samples, batch, GATES * width)
        to_weight, to_bias = torch.zeros_like(weight), weight.new_zeros(GATES * width)
        later = gradient.new_zeros(batch, width)
        for at in reversed(range(0, samples, CHUNK)):
            now = slice(at, at + CHUNK)
            before, made = states[:-1][now], candidates[now]
            reset, update = gates[now].split(width, -1)
            to_candidate = (1 - made.square()) * (1 - update)
            to_reset = to_candidate * told[now] * reset * (1 - reset)
            to_update = (before - made) * update * (1 - update)
            # of what the recurrent weights say, per unit of the state's gradient
            shares = torch.stack([to_reset, to_update, to_candidate * reset], 2)
            changes, sums = torch.empty_like(shares), torch.empty_like(to_candidate)
            steps = zip(
                *(gradient[now].unbind(), sums.unbind(), sums[:, :, None].unbind()),
                *(shares.unbind(), changes.unbind(), changes.flatten(2).unbind(), update.unbind()),
                strict=True,
            )
            for here, total, each, share, change, flat, keep in reversed(list(steps)):
                torch.add(here, later, out=total)
                torch.mul(share, each, out=change)
                torch.addmm(torch.mul(total, keep), flat, weight, out=later)
            flat = changes.flatten(2).flatten(0, 1)
            to_weight.addmm_(flat.t(), before.flatten(0, 1))
            to_bias += flat.sum(0)
            to_inputs[now, :, : 2 * width] = changes.flatten(2)[..., : 2 * width]
            torch.mul(sums, to_candidate, out=to_inputs[now, :, 2 * width :])
        return to_inputs, to_weight, to_bias
