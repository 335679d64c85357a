"""Pitch period of every 10-ms frame: normalised correlation, tracked by dynamic programming.

After J.-M. Valin et al., "A perceptually-motivated approach for low-complexity, real-time enhancement of fullband
speech" (INTERSPEECH 2020), section 3: a signal is compared with itself one period away, and the Viterbi algorithm finds
the trajectory that correlates best without jumping. The paper leaves the search open; here

- the search runs at 12 kHz, over 50 ms, placed symmetrically about the middle of the frame as far as the look-ahead
  allows (long windows hold in noise: 40 ms instead of 20 took gross errors at 0 dB from 27 to 21 %);
- a period is judged by what repeats after one of it and, with less weight, after two: the noise in either is another;
- a change of period costs in proportion to its size in octaves up to a limit, so that the forward recursion needs one
  sweep up and one down the lags and the track can begin anew after a pause;
- no back-tracking: the window holds all the look-ahead already;
- the winner is refined at 48 kHz.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SAMPLE_RATE = 48_000
HOP = 480
MIN_PERIOD, MAX_PERIOD = 60, 768  # samples at 48 kHz: 800 to 62.5 Hz
DECIMATION = 4
COARSE_HOP = HOP // DECIMATION
COARSE_WINDOW = 5 * COARSE_HOP
MIN_LAG, MAX_LAG = MIN_PERIOD // DECIMATION, MAX_PERIOD // DECIMATION
COARSE_MARGIN = 2 * MAX_LAG + COARSE_WINDOW
LOWPASS_HZ = 2_000.0
LOWPASS_TAPS = 97
LOWPASS_DELAY = LOWPASS_TAPS // 2
FINE_WINDOW = 1_440
FINE_RADIUS = 4
SECOND_PERIOD_SHARE = 0.3  # of the score
LONG_LAG_COST = 0.01  # per octave: of two periods that fit equally, the shorter
JUMP_COST = 2.0  # per octave and frame
MAX_JUMP_COST = 0.8
ENERGY_FLOOR = 1e-9  # of a window: -118 dBFS at 12 kHz


@dataclass(frozen=True)
class PitchTrack:
    """Pitch of consecutive frames.

    Attributes:
        periods: Samples at 48 kHz, from 60 to 768, shape (frames,), int.
        correlations: Normalised correlation at 12 kHz over that period, -1 to 1, shape (frames,).
    """

    periods: np.ndarray
    correlations: np.ndarray


def lowpass() -> np.ndarray:
    """The linear-phase filter before decimation: a windowed sinc of unit gain, shape (LOWPASS_TAPS,), float32."""
    n = np.arange(LOWPASS_TAPS) - LOWPASS_DELAY
    taps = np.sinc(2 * LOWPASS_HZ / SAMPLE_RATE * n) * (0.5 + 0.5 * np.cos(np.pi * n / (LOWPASS_DELAY + 1)))
    return (taps / taps.sum()).astype(np.float32)


def track_pitch(samples: np.ndarray, frames: int, lookahead: int = 2) -> PitchTrack:
    """Track the pitch of a signal.

    Args:
        samples: Shape (samples,), float, 48 kHz; silent outside.
        frames: Frames to track. Frame l is centred on sample 480 l.
        lookahead: Frames of 10 ms beyond the frame's own end (sample 480 (l + 1)) that may be looked at.
    """
    coarse = _decimate(samples, frames)
    lags = np.arange(MIN_LAG, MAX_LAG + 1)
    first = _coarse_correlations(coarse, lags, frames, lookahead)
    second = _coarse_correlations(coarse, 2 * lags, frames, lookahead)
    best = _viterbi(first + SECOND_PERIOD_SHARE * (second - first), np.log2(lags))
    correlations = first[np.arange(frames), best]
    return PitchTrack(_refine(samples, lags[best] * DECIMATION, lookahead), correlations)


def _decimate(samples: np.ndarray, frames: int) -> np.ndarray:
    """12 kHz, without delay; from COARSE_MARGIN samples before the first frame to as many behind the last."""
    margin = COARSE_MARGIN * DECIMATION
    wanted = frames * HOP + margin
    padded = np.zeros(margin + wanted + LOWPASS_TAPS)
    count = min(len(samples), wanted)
    padded[margin : margin + count] = samples[:count]
    return np.convolve(padded, lowpass(), "same")[: margin + wanted : DECIMATION]


def _coarse_correlations(coarse: np.ndarray, lags: np.ndarray, frames: int, lookahead: int) -> np.ndarray:
    """Normalised correlation for each lag, shape (frames, lags)."""
    centres = np.arange(frames) * COARSE_HOP + COARSE_MARGIN
    energy = _running_sum(coarse * coarse)
    scores = np.empty((frames, len(lags)))
    for index, lag in enumerate(lags):
        products = _running_sum(coarse[:-lag] * coarse[lag:])
        early = centres + early_window_start(lag, lookahead)
        late = early + lag
        product = products[early + COARSE_WINDOW] - products[early]
        early_energy = energy[early + COARSE_WINDOW] - energy[early] + ENERGY_FLOOR
        late_energy = energy[late + COARSE_WINDOW] - energy[late] + ENERGY_FLOOR
        scores[:, index] = product / np.sqrt(early_energy * late_energy)
    return scores


def early_window_start(lag: int, lookahead: int) -> int:
    """Start of the earlier of the two windows against the frame's centre, in samples at 12 kHz.

    The pair is symmetrical about the centre where the look-ahead, less the delay of the low-pass, allows; else it ends
    with the look-ahead.
    """
    available = ((lookahead + 1) * HOP - LOWPASS_DELAY) // DECIMATION
    return min((lag + COARSE_WINDOW) // 2, available) - COARSE_WINDOW - int(lag)


def _running_sum(values: np.ndarray) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])


def _viterbi(scores: np.ndarray, octaves: np.ndarray) -> np.ndarray:
    """Best lag of each frame given all frames up to it: shape (frames, lags) to (frames,), indices."""
    local = scores - LONG_LAG_COST * (octaves - octaves[0])
    rising = JUMP_COST * (octaves - octaves[0])
    best = np.empty(len(scores), int)
    path = np.zeros(scores.shape[1])
    for frame, score in enumerate(local):
        # The best predecessor under a cost that is linear in octaves: a running maximum from either side.
        from_below = np.maximum.accumulate(path + rising) - rising
        from_above = np.maximum.accumulate((path - rising)[::-1])[::-1] + rising
        path = np.maximum(np.maximum(from_below, from_above), path.max() - MAX_JUMP_COST) + score
        path -= path.max()
        best[frame] = path.argmax()
    return best


def _refine(samples: np.ndarray, periods: np.ndarray, lookahead: int) -> np.ndarray:
    """The period at 48 kHz about each coarse one that correlates best."""
    margin = MAX_PERIOD + FINE_RADIUS + FINE_WINDOW
    end = len(periods) * HOP
    padded = np.zeros(end + 2 * margin)
    count = min(len(samples), end + margin)
    padded[margin : margin + count] = samples[:count]
    fine = np.empty(len(periods), int)
    for frame, coarse in enumerate(periods):
        candidates = np.arange(max(MIN_PERIOD, coarse - FINE_RADIUS), min(MAX_PERIOD, coarse + FINE_RADIUS) + 1)
        late_end = frame * HOP + margin + min((coarse + FINE_WINDOW) // 2, (lookahead + 1) * HOP)
        late = padded[late_end - FINE_WINDOW : late_end]
        earlier = np.stack([padded[late_end - FINE_WINDOW - p : late_end - p] for p in candidates])
        energies = (earlier * earlier).sum(axis=1) + ENERGY_FLOOR
        fine[frame] = candidates[np.argmax(earlier @ late / np.sqrt(energies))]
    return fine
