"""The model image of a trained feature predictor: `vivavoce.training.image` with the tensors that its engine reads.

The GRUs are rounded to int8; what enters and what leaves stays float32, for cepstra are no numbers from -1 to 1.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vivavoce.concealment.features import INPUTS
from vivavoce.signal.cepstrum import FEATURES
from vivavoce.training.image import PREDICTOR, checked, float_tensor, image_of, int8_tensor, width_of


def predictor_image(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """The image of a predictor's checkpoint.

    Args:
        arrays: The state dict of `vivavoce.concealment.model.FeaturePredictor`, float32.
        metadata: `system` ("plc"), `name` (printable ASCII, at most 31 characters) and `sample_rate`.

    Returns:
        The bytes of a `.vvm` file.

    Raises:
        ValueError: An array or an entry of the metadata is missing, not finite or not what the network has.
    """
    if metadata.get("system") != "plc":
        raise ValueError(f"metadata must name the system plc, got {metadata.get('system')!r}")
    dense, gru = width_of(arrays, "dense.weight"), width_of(arrays, "output.weight", axis=1)
    tensors = [float_tensor(checked(arrays, "dense.weight", dense, INPUTS), checked(arrays, "dense.bias", dense))]
    for name, columns in (("gru1", dense), ("gru2", gru)):
        for side, width in (("ih_l0", columns), ("hh_l0", gru)):
            weights = checked(arrays, f"{name}.weight_{side}", 3 * gru, width)
            tensors.append(int8_tensor(weights, checked(arrays, f"{name}.bias_{side}", 3 * gru)))
    output = checked(arrays, "output.weight", FEATURES, gru)
    tensors.append(float_tensor(output, checked(arrays, "output.bias", FEATURES)))
    return image_of(PREDICTOR, {**metadata, "lookahead_frames": "0"}, (dense, gru), tensors)
