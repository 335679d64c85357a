"""The model image of a trained PercepNet: `vivavoce.training.image` with the tensors that its engine reads.

All matrices but the first are rounded to int8.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vivavoce.training.image import (
    MAX_WIDTH,
    PERCEPNET,
    STRIP_ROWS,
    Tensor,
    checked,
    float_tensor,
    image_of,
    int8_tensor,
)

FEATURES, BANDS = 70, 34
GRUS = ("gru1", "gru2", "gru3", "gains_gru", "strengths_gru")


def model_image(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """The image of a PercepNet checkpoint.

    Args:
        arrays: The network's state dict, float32: `input.weight` (dense, 70), `conv1.weight` (conv, dense, 5),
            `conv2.weight` (conv, conv, 3), `weight_ih`, `weight_hh`, `bias_ih` and `bias_hh` of `gru1`, `gru2`, `gru3`,
            `gains_gru` and `strengths_gru` as PyTorch has them, `gains.weight` (35, conv + 4 gru), `strengths.weight`
            (34, strengths), and the `bias` of each.
        metadata: `system` ("percepnet"), `name` (printable ASCII, at most 31 characters), `lookahead_frames` and
            `sample_rate`, as strings.

    Returns:
        The bytes of a `.vvm` file.

    Raises:
        ValueError: An array or an entry of the metadata is missing, not finite or not what the network has.
    """
    if metadata.get("system") != "percepnet":
        raise ValueError(f"metadata must name the system percepnet, got {metadata.get('system')!r}")
    sizes = _sizes(arrays)
    return image_of(PERCEPNET, metadata, (FEATURES, BANDS, *sizes), _tensors(arrays, *sizes))


def _sizes(arrays: Mapping[str, np.ndarray]) -> tuple[int, int, int, int]:
    """Widths of dense layer, convolutions, GRUs, GRU of the strengths."""
    sizes = []
    for name, dimensions in (
        ("input.weight", 2),
        ("conv1.weight", 3),
        ("gru1.weight_hh", 2),
        ("strengths_gru.weight_hh", 2),
    ):
        shape = np.shape(arrays[name]) if name in arrays else ()
        width = shape[1 if "gru" in name else 0] if len(shape) == dimensions else 0
        if not 0 < width <= MAX_WIDTH or width % STRIP_ROWS:
            raise ValueError(
                f"{name} must have {dimensions} dimensions and a width that is a multiple of {STRIP_ROWS} "
                f"up to {MAX_WIDTH}, got shape {shape}"
            )
        sizes.append(width)
    dense, conv, gru, strengths = sizes
    return dense, conv, gru, strengths


def _tensors(arrays: Mapping[str, np.ndarray], dense: int, conv: int, gru: int, strengths: int) -> list[Tensor]:
    """All matrices in the order of `PercepNetNetwork::Bind`."""

    def quantised(name: str, suffix: str, *shape: int) -> Tensor:
        weights = checked(arrays, f"{name}.weight{suffix}", *shape)
        if weights.ndim == 3:  # one frame after the other, as the core remembers them
            weights = weights.transpose(0, 2, 1).reshape(shape[0], -1)
        return int8_tensor(weights, checked(arrays, f"{name}.bias{suffix}", shape[0]))

    inputs = {"gru1": conv, "strengths_gru": gru + conv}
    widths = {"strengths_gru": strengths}
    tensors = [
        float_tensor(checked(arrays, "input.weight", dense, FEATURES), checked(arrays, "input.bias", dense)),
        quantised("conv1", "", conv, dense, 5),
        quantised("conv2", "", conv, conv, 3),
    ]
    for name in GRUS:
        width = widths.get(name, gru)
        tensors.append(quantised(name, "_ih", 3 * width, inputs.get(name, gru)))
        tensors.append(quantised(name, "_hh", 3 * width, width))
    tensors.append(quantised("gains", "", BANDS + 1, conv + 4 * gru))
    tensors.append(quantised("strengths", "", BANDS, strengths))
    return tensors
