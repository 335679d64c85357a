"""The model image of a trained LPCNet: `vivavoce.training.image` with the tensors that its engine reads.

What runs for every sample is float32. The embeddings of samples are folded into the first GRU: a row of its inputs for
each code.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vivavoce.training.image import LPCNET, Tensor, checked, float_tensor, image_of, width_of
from vivavoce.vocoder.image import frame_tensors, frame_widths

CODES = 256
GATES = 3
GRUS = ("gru_a", "gru_b")
EMBEDDINGS = ("signal", "prediction", "excitation")
REPEATED = 5  # samples about one period ago
SIDES = ("ih", "hh")


def lpcnet_image(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """The image of an LPCNet checkpoint.

    Args:
        arrays: The state dict of `vivavoce.vocoder.lpcnet.Lpcnet`, float32.
        metadata: `system` ("lpcnet"), `name` (printable ASCII, at most 31 characters) and `sample_rate`.

    Returns:
        The bytes of a `.vvm` file.

    Raises:
        ValueError: An array or an entry of the metadata is missing, not finite or not what the network has.
    """
    if metadata.get("system") != "lpcnet":
        raise ValueError(f"metadata must name the system lpcnet, got {metadata.get('system')!r}")
    widths = frame_widths(arrays) | {name: width_of(arrays, f"{name}.weight_hh_l0", GATES) for name in GRUS}
    return image_of(LPCNET, {**metadata, "lookahead_frames": "1"}, (*widths.values(),), _tensors(arrays, widths))


def _tensors(arrays: Mapping[str, np.ndarray], widths: Mapping[str, int]) -> list[Tensor]:
    """All matrices in the order of `LpcnetNetwork::Bind`."""
    condition, first, second = widths["condition"], widths["gru_a"], widths["gru_b"]
    size = np.shape(arrays.get("signal.weight", ()))[-1:] or (0,)
    codes = [checked(arrays, f"{name}.weight", CODES, *size).astype(np.float64) for name in EMBEDDINGS]
    inputs = checked(arrays, "gru_a.weight_ih_l0", GATES * first, len(codes) * size[0] + REPEATED + condition)
    ends = [*(size[0] * np.arange(1, len(codes) + 1)), len(codes) * size[0] + REPEATED]
    *of_codes, of_repeated, of_condition = np.split(inputs, ends, axis=1)
    tensors, none = frame_tensors(arrays, widths), np.zeros(GATES * first, np.float32)
    for weights, embedding in zip(of_codes, codes, strict=True):
        tensors.append(float_tensor((weights.astype(np.float64) @ embedding.T).astype(np.float32), none))
    tensors.append(float_tensor(of_repeated, none))
    bias = {name: [checked(arrays, f"{name}.bias_{side}_l0", GATES * widths[name]) for side in SIDES] for name in GRUS}
    tensors.append(float_tensor(of_condition, bias["gru_a"][0]))
    tensors.append(float_tensor(checked(arrays, "gru_a.weight_hh_l0", GATES * first, first), bias["gru_a"][1]))
    inputs = checked(arrays, "gru_b.weight_ih_l0", GATES * second, first + condition)
    tensors.append(float_tensor(inputs[:, first:], bias["gru_b"][0]))
    tensors.append(float_tensor(inputs[:, :first], np.zeros(GATES * second, np.float32)))
    tensors.append(float_tensor(checked(arrays, "gru_b.weight_hh_l0", GATES * second, second), bias["gru_b"][1]))
    for name in ("first", "second"):
        neurons = checked(arrays, f"{name}.weight", CODES, second + 2)
        tensors.append(float_tensor(neurons, np.zeros(CODES, np.float32)))
    return tensors
