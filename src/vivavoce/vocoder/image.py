"""What the model images of all vocoders begin with: `vivavoce.training.image` with the layers of `vocoder.frames`.

The embedding of the pitch is folded into the first layer: a row of that layer's results for each period.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vivavoce.signal.cepstrum import FEATURES, HOP
from vivavoce.signal.pitch import WIDE_BAND
from vivavoce.training.image import Tensor, checked, float_tensor, int8_tensor, width_of

PERIODS = WIDE_BAND.max_period - WIDE_BAND.min_period + 1
SUBFRAMES, SUBFRAME = 4, HOP // 4


def frame_widths(arrays: Mapping[str, np.ndarray]) -> dict[str, int]:
    """Of the layers of a `FrameNetwork`, read off its state dict.

    Raises:
        ValueError: A layer is missing, or none that the core has.
    """
    return {
        "dense": width_of(arrays, "dense.weight"),
        "convolution": width_of(arrays, "convolution.weight"),
        "condition": width_of(arrays, "condition.weight", SUBFRAMES),
    }


def frame_tensors(arrays: Mapping[str, np.ndarray], widths: Mapping[str, int]) -> list[Tensor]:
    """Its matrices in the order of `Vocoder::BindFrames`.

    Raises:
        ValueError: A layer is missing, not finite or of another shape.
    """
    width = widths["convolution"]
    kernel = checked(arrays, "convolution.weight", width, widths["dense"], 3)
    kernel = kernel.transpose(0, 2, 1).reshape(width, -1)  # one frame after the other, as the core remembers them
    rows = SUBFRAMES * widths["condition"]
    condition = checked(arrays, "condition.weight", rows, width)
    return [
        *_first_layer(arrays, widths["dense"]),
        int8_tensor(kernel, checked(arrays, "convolution.bias", width)),
        int8_tensor(condition, checked(arrays, "condition.bias", rows)),
    ]


def _first_layer(arrays: Mapping[str, np.ndarray], width: int) -> tuple[Tensor, Tensor]:
    """What the features give, and what each period gives."""
    embedding = np.asarray(arrays.get("embedding.weight", np.zeros((0, 0))))
    size = embedding.shape[1] if embedding.ndim == 2 else 0
    embedding = checked(arrays, "embedding.weight", PERIODS, size)
    weights = checked(arrays, "dense.weight", width, FEATURES + size)
    of_periods = (weights[:, FEATURES:].astype(np.float64) @ embedding.T.astype(np.float64)).astype(np.float32)
    none = np.zeros(width, np.float32)
    return float_tensor(weights[:, :FEATURES], checked(arrays, "dense.bias", width)), float_tensor(of_periods, none)
