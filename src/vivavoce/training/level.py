"""How loud something is while it sounds: levels that pauses do not lower.

Plainer than ITU-T P.56, which needs an envelope and a hangover: here a frame is active when it is within 30 dB of the
loudest one, which for speech at 48 kHz agrees with P.56 to a fraction of a decibel and costs one pass. Mixtures are
levelled by it, thousands of them a minute; test sets by P.56 itself (`evaluation/mixing.py`).
"""

from __future__ import annotations

import numpy as np

FRAME_SAMPLES = 960  # 20 ms at 48 kHz
ACTIVE_RANGE_DB = 30.0
QUIET_PERCENTILE = 2.0  # of the frames: a clip of three seconds without a pause still has that many between its words
_FLOOR = 1e-12  # power; -120 dBFS, below the last bit of 16


def frame_powers(samples: np.ndarray) -> np.ndarray:
    """Mean square of each whole frame of 20 ms (of all samples where there is not one), shape (frames,), float32."""
    frames = len(samples) // FRAME_SAMPLES
    if not frames:
        return np.array([np.mean(samples**2) if len(samples) else 0.0], np.float32)
    whole = samples[: frames * FRAME_SAMPLES].reshape(frames, FRAME_SAMPLES)
    return np.einsum("ij,ij->i", whole, whole) / np.float32(FRAME_SAMPLES)


def active_power(samples: np.ndarray) -> float:
    """Mean square over the active frames: those within 30 dB of the loudest; 0 for silence."""
    return _active(frame_powers(samples))


def level_db(power: float) -> float:
    """A mean square in decibels, -120 at least."""
    return float(10 * np.log10(max(power, _FLOOR)))


def clip_snr_db(samples: np.ndarray) -> float:
    """Active level of a recording over the level of its quietest frames, in dB.

    A rough figure: a clip without a pause is better than it says.
    """
    powers = frame_powers(samples)
    return level_db(_active(powers)) - level_db(float(np.percentile(powers, QUIET_PERCENTILE)))


def _active(powers: np.ndarray) -> float:
    loudest = float(powers.max())
    return float(powers[powers >= loudest * 10 ** (-ACTIVE_RANGE_DB / 10)].mean()) if loudest > 0 else 0.0
