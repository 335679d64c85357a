"""The model image of a trained FARGAN: `vivavoce.training.image` with the tensors that its engine reads.

What runs for every sub-frame is rounded to int8, but for the gain. The embedding of the pitch is folded into the first
layer: a row of that layer's results for each period.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vivavoce.signal.cepstrum import FEATURES, HOP
from vivavoce.signal.pitch import WIDE_BAND
from vivavoce.training.image import FARGAN, Tensor, checked, float_tensor, image_of, int8_tensor, width_of

PERIODS = WIDE_BAND.max_period - WIDE_BAND.min_period + 1
SUBFRAMES, SUBFRAME, PREDICTION = 4, HOP // 4, HOP // 4 + 4
GRUS = ("gru1", "gru2", "gru3")
PREDICTION_GATES = len(GRUS) + 2


def fargan_image(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """The image of a FARGAN checkpoint.

    Args:
        arrays: The state dict of `vivavoce.vocoder.fargan.Fargan`, float32.
        metadata: `system` ("fargan"), `name` (printable ASCII, at most 31 characters) and `sample_rate`.

    Returns:
        The bytes of a `.vvm` file.

    Raises:
        ValueError: An array or an entry of the metadata is missing, not finite or not what the network has.
    """
    if metadata.get("system") != "fargan":
        raise ValueError(f"metadata must name the system fargan, got {metadata.get('system')!r}")
    widths = {
        "dense": width_of(arrays, "dense.weight"),
        "convolution": width_of(arrays, "convolution.weight"),
        "condition": width_of(arrays, "condition.weight", SUBFRAMES),
        "input": width_of(arrays, "input.weight"),
        **{name: width_of(arrays, f"{name}.weight_hh", 3) for name in GRUS},
        "skip": width_of(arrays, "skip.weight"),
    }
    return image_of(FARGAN, {**metadata, "lookahead_frames": "1"}, (*widths.values(),), _tensors(arrays, widths))


def _tensors(arrays: Mapping[str, np.ndarray], widths: Mapping[str, int]) -> list[Tensor]:
    """All matrices in the order of `FarganNetwork::Bind`."""
    around = 2 * SUBFRAME  # the gated prediction, and the sub-frame before

    def plain(name: str, columns: int, rows: int | None = None, quantised: bool = True) -> Tensor:
        rows = rows or widths[name]
        weights = checked(arrays, f"{name}.weight", rows, columns)
        bias = checked(arrays, f"{name}.bias", rows)
        return (int8_tensor if quantised else float_tensor)(weights, bias)

    def glu(name: str, width: int) -> Tensor:
        return int8_tensor(checked(arrays, f"{name}.weight", width, width), np.zeros(width, np.float32))

    tensors = [*_first_layer(arrays, widths["dense"])]
    kernel = checked(arrays, "convolution.weight", widths["convolution"], widths["dense"], 3)
    kernel = kernel.transpose(0, 2, 1).reshape(len(kernel), -1)  # one frame after the other, as the core remembers them
    tensors.append(int8_tensor(kernel, checked(arrays, "convolution.bias", len(kernel))))
    tensors.append(plain("condition", widths["convolution"], SUBFRAMES * widths["condition"]))
    tensors.append(plain("gain", widths["condition"], 1, quantised=False))
    tensors.append(plain("input", 2 * (widths["condition"] + PREDICTION + SUBFRAME)))
    tensors.append(glu("input_glu", widths["input"]))
    tensors.append(plain("gates", widths["input"], PREDICTION_GATES))
    before = widths["input"]
    for index, name in enumerate(GRUS, start=1):
        width = widths[name]
        for side, columns in (("ih", before + around), ("hh", width)):
            weights = checked(arrays, f"{name}.weight_{side}", 3 * width, columns)
            tensors.append(int8_tensor(weights, checked(arrays, f"{name}.bias_{side}", 3 * width)))
        tensors.append(glu(f"glu{index}", width))
        before = width
    tensors.append(plain("skip", sum(widths[name] for name in GRUS) + widths["input"] + around))
    tensors.append(glu("skip_glu", widths["skip"]))
    tensors.append(plain("output", widths["skip"], SUBFRAME))
    return tensors


def _first_layer(arrays: Mapping[str, np.ndarray], width: int) -> tuple[Tensor, Tensor]:
    """What the features give, and what each period gives."""
    embedding = np.asarray(arrays.get("embedding.weight", np.zeros((0, 0))))
    size = embedding.shape[1] if embedding.ndim == 2 else 0
    embedding = checked(arrays, "embedding.weight", PERIODS, size)
    weights = checked(arrays, "dense.weight", width, FEATURES + size)
    of_periods = (weights[:, FEATURES:].astype(np.float64) @ embedding.T.astype(np.float64)).astype(np.float32)
    none = np.zeros(width, np.float32)
    return float_tensor(weights[:, :FEATURES], checked(arrays, "dense.bias", width)), float_tensor(of_periods, none)
