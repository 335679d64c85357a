"""What the feature predictor sees of each 10 ms: the Burg cepstrum, the features, and how they are known.

J.-M. Valin et al., "Real-time packet loss concealment with mixed generative and predictive model" (INTERSPEECH 2022).
And, in a gap of which the end is here already, the features behind it, and how near they are.
"""

from __future__ import annotations

import numpy as np

from vivavoce.signal.burg import BURG_FEATURES
from vivavoce.signal.cepstrum import FEATURES

KNOWN = BURG_FEATURES + FEATURES  # where it stands how they are known
FORESEEN = KNOWN + 1  # where the features behind the gap begin
INPUTS = FORESEEN + FEATURES + 1
RECEIVED, LOST, TOLD = 1.0, 0.0, -1.0  # told: the features came as redundancy, the samples did not


def predictor_inputs(
    burg: np.ndarray,
    features: np.ndarray,
    known: np.ndarray,
    foreseen: np.ndarray | None = None,
    ahead: np.ndarray | None = None,
) -> np.ndarray:
    """Inputs of the predictor; what is not known counts as 0.

    Args:
        burg: Shape (..., frames, 36).
        features: Shape (..., frames, 20).
        known: RECEIVED, LOST or TOLD, shape (..., frames).
        foreseen: Features behind the gap, shape (..., 20).
        ahead: In how many frames they are reached, 0 where they are not known, shape (..., frames).

    Returns:
        Shape (..., frames, 78).
    """
    parts = [burg * (known == RECEIVED)[..., None], features * (known != LOST)[..., None], known[..., None]]
    if foreseen is None or ahead is None:
        parts.append(np.zeros((*known.shape, FEATURES + 1)))
    else:
        parts += [foreseen[..., None, :] * (ahead > 0)[..., None], ((ahead > 0) / np.maximum(ahead, 1))[..., None]]
    return np.concatenate(parts, axis=-1)
