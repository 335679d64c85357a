"""The model image of a trained FARGAN: `vivavoce.training.image` with the tensors that its engine reads.

What runs for every sub-frame is rounded to int8, but for the gain.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vivavoce.signal.cepstrum import FEATURES, HOP
from vivavoce.training.image import FARGAN, Tensor, checked, float_tensor, image_of, int8_tensor, width_of
from vivavoce.vocoder.image import PERIODS, SUBFRAME, frame_tensors, frame_widths

PREDICTION = SUBFRAME + 4
DELAY = 2  # frames, of the spectral postfilter, which sees ...
SEEN, PITCHES, EMBEDDING, BINS = 5, 2, 32, (DELAY + 1) * HOP // 2  # ... so many features, periods, and bins
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
        **frame_widths(arrays),
        "input": width_of(arrays, "input.weight"),
        **{name: width_of(arrays, f"{name}.weight_hh", 3) for name in GRUS},
        "skip": width_of(arrays, "skip.weight"),
    }
    return image_of(
        FARGAN, {**metadata, "lookahead_frames": str(1 + DELAY)}, (*widths.values(),), _tensors(arrays, widths)
    )


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

    tensors = frame_tensors(arrays, widths)
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
    return tensors + _postfilter(arrays, 2 * widths["input"])


def _postfilter(arrays: Mapping[str, np.ndarray], width: int) -> list[Tensor]:
    """The matrices of its spectral postfilter, of that width, in the order of `SpectralPostfilter::Bind`."""

    def array(name: str, *shape: int) -> np.ndarray:
        return checked(arrays, f"postfilter.{name}", *shape)

    pitches = array("embedding.weight", PERIODS, EMBEDDING).T
    told = array("features.weight", width, SEEN * FEATURES + PITCHES * EMBEDDING)
    return [
        float_tensor(pitches, np.zeros(EMBEDDING, np.float32)),
        float_tensor(told, array("features.bias", width)),
        int8_tensor(array("spectrum.weight", width, BINS), np.zeros(width, np.float32)),
        *(
            int8_tensor(array(f"{name}.weight", width, width), array(f"{name}.bias", width))
            for name in ("hidden1", "hidden2")
        ),
        int8_tensor(array("gains.weight", BINS, 3 * width), array("gains.bias", BINS)),
    ]
