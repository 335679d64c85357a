"""What the feature predictor sees of each 10 ms: the Burg cepstrum, the features, and how they are known.

J.-M. Valin et al., "Real-time packet loss concealment with mixed generative and predictive model" (INTERSPEECH 2022).
"""

from __future__ import annotations

import numpy as np

from vivavoce.signal.burg import BURG_FEATURES
from vivavoce.signal.cepstrum import FEATURES

INPUTS = BURG_FEATURES + FEATURES + 1
RECEIVED, LOST, TOLD = 1.0, 0.0, -1.0  # told: the features came as redundancy, the samples did not


def predictor_inputs(burg: np.ndarray, features: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Inputs of the predictor; what is not known counts as 0.

    Args:
        burg: Shape (..., frames, 36).
        features: Shape (..., frames, 20).
        known: RECEIVED, LOST or TOLD, shape (..., frames).

    Returns:
        Shape (..., frames, 57).
    """
    known = known[..., None]
    return np.concatenate([burg * (known == RECEIVED), features * (known != LOST), known], axis=-1)
