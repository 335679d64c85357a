"""Speech plus noise at an SNR that pauses do not change.

The SNR is the active level of the speech (ITU-T P.56, Objective measurement of active speech level) over the mean level
of the noise; speech is levelled to -26 dBFS, as listening tests have it (ITU-T P.800). Published SNRs need the level of
the standard; training mixes by a faster one (`training/level.py`).
"""

from __future__ import annotations

import numpy as np

SPEECH_LEVEL_DB = -26.0
PEAK = 0.99
FRAME_S = 0.02
_MARGIN_DB = 15.9  # P.56: speech is active where it is at most so far below its active level ...
_HANGOVER_FRAMES = 10  # ... and for 200 ms after that


def mix(clean: np.ndarray, noise: np.ndarray, sample_rate: int, snr_db: float) -> tuple[np.ndarray, np.ndarray]:
    """Add noise to speech at an SNR, and level both: active speech at -26 dBFS, or lower where the sum would clip.

    Args:
        clean: Shape (samples,), float32, not silent.
        noise: Like `clean`, not silent.
        sample_rate: Hz.
        snr_db: Active level of the speech over the mean level of the noise.

    Returns:
        Clean and noisy, shape (samples,), float32.

    Raises:
        ValueError: One is silent, or they differ in length.
    """
    if clean.shape != noise.shape:
        raise ValueError(f"clean {clean.shape} and noise {noise.shape} must have one shape")
    speech_db, noise_db = active_level_db(clean, sample_rate), level_db(noise)
    if not np.isfinite([speech_db, noise_db]).all():
        raise ValueError("clean speech and noise must not be silent")
    clean = clean * 10 ** ((SPEECH_LEVEL_DB - speech_db) / 20)
    noisy = clean + noise * 10 ** ((SPEECH_LEVEL_DB - snr_db - noise_db) / 20)
    gain = min(1.0, PEAK / max(np.abs(noisy).max(), np.abs(clean).max()))
    return (clean * gain).astype(np.float32), (noisy * gain).astype(np.float32)


def level_db(samples: np.ndarray) -> float:
    """Mean power in dB of full scale (a constant 1 is 0 dB); minus infinity for silence."""
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return 10 * np.log10(power) if power > 0 else float("-inf")


def active_level_db(samples: np.ndarray, sample_rate: int) -> float:
    """Level of speech without its pauses, as ITU-T P.56 defines it, on frames of 20 ms: energy over active time.

    Time is active where the level is at most 15.9 dB below the active level itself, and 200 ms longer. Iterated from
    the mean level, which is below; each step makes less time active, so it ends.

    Args:
        samples: Shape (samples,).
        sample_rate: Hz.

    Returns:
        dB of full scale; minus infinity for silence.
    """
    powers = frame_powers(samples, sample_rate)
    total = float(powers.sum())
    if total == 0:
        return float("-inf")
    active = len(powers)
    while True:
        loud = powers >= total / active * 10 ** (-_MARGIN_DB / 10)
        held = int(np.count_nonzero(np.convolve(loud, np.ones(_HANGOVER_FRAMES + 1))[: len(loud)] > 0.5))
        if held >= active:
            return 10 * np.log10(total / active)
        active = held


def frame_powers(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Mean power of frames of 20 ms, the last padded: shape (frames,), at least one."""
    frame = round(FRAME_S * sample_rate)
    count = max(1, -(-len(samples) // frame))
    padded = np.pad(np.asarray(samples, np.float64), (0, count * frame - len(samples)))
    return np.square(padded).reshape(count, frame).mean(axis=1)
