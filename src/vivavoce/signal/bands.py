"""Triangular bands on the ERB scale: 34 numbers that stand for the spectral envelope of a 20-ms frame.

The scale is that of B. R. Glasberg and B. C. J. Moore, "Derivation of auditory filter shapes from notched-noise data"
(Hearing Research 47, 1990); its use is that of J.-M. Valin et al., "A perceptually-motivated approach for
low-complexity, real-time enhancement of fullband speech" (INTERSPEECH 2020, PercepNet). Unlike the relatives of
RNNoise, which silence what lies above 20 kHz, the last band holds up to the Nyquist frequency with full weight.
"""

from __future__ import annotations

import numpy as np

BANDS = 34
TOP_HZ = 20_000.0
MIN_SPACING_BINS = 2  # 100 Hz at 50 Hz a bin
ERB_HZ, ERB_Q = 24.7, 9.265  # ERB(f) = 24.7 (1 + f / (24.7 * 9.265))


class ErbBands:
    """Band weights for spectra of one size.

    Attributes:
        centres: Bin of each band's centre, shape (bands,), int.
        centres_hz: The same in Hz, float.
        weights: Shape (bands, bins), float32; the bands sum to 1 at every bin.
    """

    def __init__(self, bins: int = 481, bin_hz: float = 50.0, bands: int = BANDS) -> None:
        """Lay out the bands.

        Args:
            bins: Bins of a spectrum, 0 Hz first.
            bin_hz: Their distance.
            bands: Number of bands.

        Raises:
            ValueError: The bands do not fit into the bins.
        """
        top = ERB_Q * np.log1p(TOP_HZ / (ERB_HZ * ERB_Q))
        hz = ERB_HZ * ERB_Q * np.expm1(np.linspace(0, top, bands) / ERB_Q)
        centres = np.rint(hz / bin_hz).astype(int)
        for band in range(1, bands):
            centres[band] = max(centres[band], centres[band - 1] + MIN_SPACING_BINS)
        if centres[-1] >= bins:
            raise ValueError(f"{bands} bands of {MIN_SPACING_BINS} bins and more do not fit into {bins} bins")
        self.centres = centres
        self.centres_hz = centres * bin_hz
        points = np.interp(np.arange(bins), centres, np.arange(bands))
        self.weights = np.maximum(0, 1 - np.abs(points - np.arange(bands)[:, None])).astype(np.float32)

    def energies(self, spectra: np.ndarray) -> np.ndarray:
        """Energy of each band: (..., bins) complex to (..., bands), real."""
        return (np.real(spectra) ** 2 + np.imag(spectra) ** 2) @ self.weights.T

    def correlations(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Real part of the inner product a* b in each band: (..., bins) complex, twice, to (..., bands), real."""
        return np.real(np.conj(a) * b) @ self.weights.T

    def interpolate(self, gains: np.ndarray) -> np.ndarray:
        """One number a band to one a bin, linear between the centres: (..., bands) to (..., bins)."""
        return gains @ self.weights
