"""What the network sees of a frame: 70 numbers, and the spectra that its answer is applied to.

J.-M. Valin et al., "A perceptually-motivated approach for low-complexity, real-time enhancement of fullband speech"
(INTERSPEECH 2020), section 4: 34 band energies as early as the look-ahead has them, 34 band coherences of the noisy
signal with its comb-filtered self, the pitch period and its correlation. The core computes the same; this is its
reference.

The paper leaves the scale of the energies open. Here they are in units of 20 dB against a level that follows the
loudest of the recent past, so that a quiet microphone and a loud one look the same to the network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vivavoce.enhancement.comb import comb_frames, noise_gain
from vivavoce.enhancement.gains import coherence
from vivavoce.signal.bands import BANDS, ErbBands
from vivavoce.signal.pitch import HOP, track_pitch
from vivavoce.signal.stft import analyse, vorbis_window

FEATURES = 2 * BANDS + 2
WINDOW = 2 * HOP
ENERGY_FLOOR = 1e-9  # mean |Y|^2 a bin: white noise of -117 dBFS
DB_PER_UNIT = 20.0
LEVEL_ATTACK = 0.1  # a frame: 100 ms
LEVEL_DECAY_DB = 0.01  # a frame: 1 dB/s
MIN_LEVEL_DB = -55.0  # digital silence and what is near it is not raised to the level of speech
MIN_FEATURE = -3.0  # what is 60 dB below the level is silence, whatever dither or a resampler left of it

ERB_BANDS = ErbBands()


@dataclass(frozen=True)
class Analysis:
    """A noisy signal, frame by frame. Frame l is centred on sample 480 l.

    Attributes:
        spectra: Y, shape (frames, 481), complex.
        comb: P, the spectra after the comb filter, likewise.
        energies: Of the bands of Y, shape (frames, 34).
        coherences: q_y, shape (frames, 34).
        noise_gains: sigma_w^2 of each frame's comb filter, shape (frames,).
        features: What the network sees when frame l is the newest, shape (frames, 70): energies of frame l, the rest of
            frame l - lookahead (0 before the first).
        periods: Pitch, samples, shape (frames,).
    """

    spectra: np.ndarray
    comb: np.ndarray
    energies: np.ndarray
    coherences: np.ndarray
    noise_gains: np.ndarray
    features: np.ndarray
    periods: np.ndarray


def analyse_noisy(samples: np.ndarray, frames: int, lookahead: int = 2) -> Analysis:
    """Analyse a signal.

    Args:
        samples: Shape (samples,), float, 48 kHz; silent outside.
        frames: Number of frames.
        lookahead: Frames of look-ahead, 0 to 2.
    """
    spectra = analyse(samples, frames, WINDOW)
    energies = ERB_BANDS.energies(spectra)
    track = track_pitch(samples, frames, lookahead)
    comb = comb_spectra(samples, track.periods, lookahead)
    coherences = coherence(ERB_BANDS.correlations(comb, spectra), ERB_BANDS.energies(comb), energies)
    features = np.zeros((frames, FEATURES))
    features[:, :BANDS] = band_levels(spectra, energies)
    late = np.concatenate([coherences, (np.log2(track.periods)[:, None] - 8) / 2, track.correlations[:, None]], axis=1)
    features[lookahead:, BANDS:] = late[: frames - lookahead]
    return Analysis(spectra, comb, energies, coherences, noise_gain(track.periods, lookahead), features, track.periods)


def comb_spectra(samples: np.ndarray, periods: np.ndarray, lookahead: int) -> np.ndarray:
    """Spectra of the comb-filtered frames, shape (frames, 481)."""
    return np.fft.rfft(comb_frames(samples, periods, lookahead) * vorbis_window(WINDOW))


def band_levels(spectra: np.ndarray, energies: np.ndarray) -> np.ndarray:
    """Band energies a bin, in units of 20 dB against the followed level: shape (frames, 34)."""
    widths = ERB_BANDS.weights.sum(axis=1)
    total = 10 * np.log10((np.abs(spectra) ** 2).mean(axis=1) + ENERGY_FLOOR)
    levels = np.empty(len(total))
    level = max(total[0], MIN_LEVEL_DB) if len(total) else MIN_LEVEL_DB
    for frame, now in enumerate(total):
        level = level + LEVEL_ATTACK * (now - level) if now > level else max(level - LEVEL_DECAY_DB, MIN_LEVEL_DB)
        levels[frame] = level
    bands = 10 * np.log10(energies / widths + ENERGY_FLOOR)
    return np.maximum((bands - levels[:, None]) / DB_PER_UNIT, MIN_FEATURE)
