"""What the network has to find: the gain and the comb-filter strength of each band, known when clean speech is.

J.-M. Valin et al., "A perceptually-motivated approach for low-complexity, real-time enhancement of fullband speech"
(INTERSPEECH 2020), section 3.2. Every degenerate case has a value: nothing here is ever NaN or infinite.
"""

from __future__ import annotations

import numpy as np

MASKING = 0.03  # n_0: noise-masking-tone, which limits the extra attenuation to 15 dB
SILENCE = 1e-7  # band energy under which nothing is heard: |X|^2 of a windowed sine of -118 dBFS
EPSILON = 1e-6


def coherence(correlation: np.ndarray, energy_a: np.ndarray, energy_b: np.ndarray) -> np.ndarray:
    """Correlation of two spectra in a band over their norms, clamped to 0 ... 1; 0 where either is silent."""
    scale = np.sqrt(np.maximum(energy_a * energy_b, SILENCE**2))
    return np.clip(correlation / scale, 0, 1)


def comb_coherence(coherence_y: np.ndarray, noise_gain: np.ndarray) -> np.ndarray:
    """q^: how coherent the comb-filtered noisy signal is with the periodic part, for the noisy coherence q_y.

    Args:
        coherence_y: q_y, shape (..., bands).
        noise_gain: sigma_w^2 of the comb filter, shape (..., 1).
    """
    square = coherence_y**2
    return coherence_y / np.sqrt(np.maximum((1 - noise_gain) * square + noise_gain, EPSILON))


def oracle_strengths(
    coherence_x: np.ndarray, coherence_y: np.ndarray, noise_gain: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Strengths r that make the mix as coherent as clean speech, and the attenuation where none can.

    Args:
        coherence_x: q_x of clean speech with its comb-filtered self, 0 to 1, shape (..., bands).
        coherence_y: q_y of the noisy signal with its own, likewise.
        noise_gain: sigma_w^2, shape (..., 1).

    Returns:
        `(strengths, attenuations)`, both 0 to 1, shape (..., bands).
    """
    reached = comb_coherence(coherence_y, noise_gain)
    a = reached**2 - coherence_x**2
    b = reached * coherence_y * (1 - coherence_x**2)
    c = np.maximum(coherence_x**2 - coherence_y**2, 0)
    # The positive root of a alpha^2 + 2 b alpha - c = 0, written so that a = 0 needs no case of its own.
    alpha = c / np.maximum(b + np.sqrt(np.maximum(b**2 + a * c, 0)), EPSILON)
    strengths = alpha / (1 + alpha)
    beyond = reached < coherence_x
    attenuations = np.sqrt((1 + MASKING - coherence_x**2) / (1 + MASKING - reached**2))
    return np.where(beyond, 1.0, strengths), np.where(beyond, np.minimum(attenuations, 1.0), 1.0)


def oracle_gains(energy_x: np.ndarray, energy_y: np.ndarray) -> np.ndarray:
    """Amplitude ratio |X| / |Y| in each band, at most 1; where the noisy band is silent, 1 leaves it as it is."""
    audible = energy_y > SILENCE
    return np.where(audible, np.sqrt(np.minimum(energy_x / np.where(audible, energy_y, 1), 1)), 1.0)
