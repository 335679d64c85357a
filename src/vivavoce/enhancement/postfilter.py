"""What turns gains and strengths into sound: mixing, the envelope post-filter, the limit on decay.

J.-M. Valin et al., "A perceptually-motivated approach for low-complexity, real-time enhancement of fullband speech"
(INTERSPEECH 2020), section 3: first the comb-filtered signal is mixed in, then bands are scaled, so that each comes out
with the energy that its gain says.
"""

from __future__ import annotations

import numpy as np

from vivavoce.signal.bands import ErbBands

POSTFILTER_BETA = 0.02
DECAY_T60_S = 0.1  # gains fall no faster than a room of this reverberation time
HOP_S = 0.01
MAX_DECAY = 10 ** (-3 * HOP_S / DECAY_T60_S)  # amplitude, a frame
MAX_REMATCH = 2.0  # a comb-filtered band that cancels the noisy one is raised by 6 dB at most
TINY = 1e-20


def mix(noisy: np.ndarray, comb: np.ndarray, strengths: np.ndarray, bands: ErbBands) -> tuple[np.ndarray, np.ndarray]:
    """Z = (1 - r) Y + r P, and what each band must be scaled by to have the energy of Y again.

    Args:
        noisy: Y, shape (frames, bins), complex.
        comb: P, likewise.
        strengths: r, shape (frames, bands).
        bands: Their layout.

    Returns:
        Z, shape (frames, bins), and the scales, shape (frames, bands).
    """
    strength = bands.interpolate(strengths)
    mixed = noisy + strength * (comb - noisy)
    ratio = bands.energies(noisy) / np.maximum(bands.energies(mixed), TINY)
    return mixed, np.minimum(np.sqrt(ratio), MAX_REMATCH)


def envelope_postfilter(gains: np.ndarray, energies: np.ndarray) -> np.ndarray:
    """Bands that are noisy still go down further; the frame as a whole keeps nearly its loudness.

    Args:
        gains: g, 0 to 1, shape (frames, bands).
        energies: Of the noisy bands, like `gains`.

    Returns:
        Like `gains`; up to a little more than 1.
    """
    warped = gains * np.sin(np.pi / 2 * gains)
    before = (gains**2 * energies).sum(axis=-1, keepdims=True)
    after = (warped**2 * energies).sum(axis=-1, keepdims=True)
    ratio = np.where(after > TINY, before / np.maximum(after, TINY), 1.0)
    # sqrt((1 + beta) r / (1 + beta r^2)), divided through by r for ratios of any size
    boost = np.sqrt((1 + POSTFILTER_BETA) / (1 / ratio + POSTFILTER_BETA * ratio))
    return warped * boost


def limit_decay(gains: np.ndarray) -> np.ndarray:
    """Each gain at least MAX_DECAY times that of the frame before: shape (frames, bands), in and out."""
    limited = np.array(gains, copy=True)
    for frame in range(1, len(limited)):
        np.maximum(limited[frame], MAX_DECAY * limited[frame - 1], out=limited[frame])
    return limited
