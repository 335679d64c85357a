"""From gains and strengths back to sound: the last part of PercepNet, and the reference for the core's."""

from __future__ import annotations

import numpy as np

from vivavoce.enhancement.features import ERB_BANDS, WINDOW, Analysis
from vivavoce.enhancement.postfilter import envelope_postfilter, limit_decay, mix
from vivavoce.signal.stft import synthesise


def apply_gains(
    analysis: Analysis, gains: np.ndarray, strengths: np.ndarray, *, postfilter: bool = True, decay_limit: bool = True
) -> np.ndarray:
    """Enhance a signal that has been analysed.

    Args:
        analysis: Of the noisy signal.
        gains: g of each frame and band, 0 to 1, shape (frames, 34).
        strengths: r, likewise.
        postfilter: Whether noisy bands go down further.
        decay_limit: Whether gains fall no faster than MAX_DECAY.

    Returns:
        Shape (480 (frames - 1),), aligned with the analysed samples.
    """
    if decay_limit:
        gains = limit_decay(gains)
    mixed, rematch = mix(analysis.spectra, analysis.comb, strengths, ERB_BANDS)
    if postfilter:
        gains = envelope_postfilter(gains, analysis.energies)
    return synthesise(mixed * ERB_BANDS.interpolate(gains * rematch), WINDOW)
