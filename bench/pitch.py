"""How well the pitch trackers hold in noise, against the pitch of the clean speech; prints JSON, one object a line.

    python bench/pitch.py --data DIR [--wide-band 20] [--full-band 5] [--markdown]

Trackers: that of noise suppression at 48 kHz with and without look-ahead, and that of the vocoders' features at 16 kHz.
The clips of the noisy sets are mixed anew at every SNR. Two references, both on clean speech: pYIN of librosa (M. Mauch
and S. Dixon, "pYIN: a fundamental frequency estimator using probabilistic threshold distributions", ICASSP 2014), which
shares nothing with our tracker, and our tracker itself, which is what the comb filter could have at best.

- Gross pitch error: frames whose period is more than 20 % off the reference, of those that are surely voiced: pYIN says
  so, they are at most 35 dB below the loudest, and they correlate over pYIN's period. Mean over clips.
- Voicing error: equal error rate of the tracker's correlation as a detector of these frames, against those that pYIN
  calls unvoiced or that are not heard; one threshold for all clips of a row.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import librosa
import numpy as np

from vivavoce._core import percepnet_analyse, speech_features
from vivavoce.audio import resample
from vivavoce.evaluation.mixing import mix
from vivavoce.evaluation.noisy import BABBLE, SNRS_DB, NoisyClip, build_noisy_set
from vivavoce.evaluation.statistics import Interval, mean_interval
from vivavoce.signal import cepstrum
from vivavoce.signal.pitch import HOP, SAMPLE_RATE

GROSS_ERROR = 0.2
AUDIBLE_DB = -35.0  # below the loudest frame
PERIODIC = 0.6  # correlation over 30 ms
PYIN_RATE = 16_000
PYIN_HZ = (62.5, 500.0)
FRAME_S = 0.01
Tracker = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Reference:
    """A clip and the pitch of its clean speech, frame by frame of 10 ms.

    Attributes:
        clip: Clean speech and noise.
        frames: How many.
        hz: By pYIN, shape (frames,).
        voiced: Surely, shape (frames,), bool.
        unvoiced: Surely; the rest is left out.
    """

    clip: NoisyClip
    frames: int
    hz: np.ndarray
    voiced: np.ndarray
    unvoiced: np.ndarray


def reference_of(clip: NoisyClip) -> Reference:
    low, high = PYIN_HZ
    hz, voiced, _ = librosa.pyin(
        resample(clip.clean, clip.sample_rate, PYIN_RATE),
        fmin=low,
        fmax=high,
        sr=PYIN_RATE,
        frame_length=1024,
        hop_length=round(FRAME_S * PYIN_RATE),
        fill_na=None,
    )
    clean = resample(clip.clean, clip.sample_rate, SAMPLE_RATE)
    padded = np.pad(clean, 2 * HOP)
    power = np.array([np.mean(padded[at + HOP : at + 3 * HOP] ** 2) for at in range(0, len(hz) * HOP - HOP, HOP)])
    frames = len(power)
    hz, voiced = hz[:frames], voiced[:frames]
    audible = power > power.max() * 10 ** (AUDIBLE_DB / 10)
    periods = np.rint(SAMPLE_RATE / hz).astype(int)
    periodic = np.array([_correlation(clean, frame * HOP, period) for frame, period in enumerate(periods)]) > PERIODIC
    return Reference(clip, frames, hz, voiced & audible & periodic, ~voiced | ~audible)


def _correlation(samples: np.ndarray, centre: int, period: int) -> float:
    """Normalised correlation of the 30 ms on either side of a lag about a sample; 0 beyond the ends."""
    start = centre - (3 * HOP + period) // 2
    early, late = samples[max(0, start) :][: 3 * HOP], samples[max(0, start + period) :][: 3 * HOP]
    if start < 0 or len(late) < 3 * HOP:
        return 0.0
    return float(early @ late / np.sqrt(max(early @ early * (late @ late), 1e-20)))


def suppression(samples: np.ndarray, frames: int, lookahead: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Periods at 48 kHz and their correlations, shape (frames,) each, as noise suppression has them."""
    features, periods = percepnet_analyse(samples.astype(np.float32), frames + lookahead, lookahead)
    return periods[:frames], features[lookahead:, -1]


def vocoders(samples: np.ndarray, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """The same of the features of speech."""
    features = speech_features(resample(samples, SAMPLE_RATE, cepstrum.SAMPLE_RATE).astype(np.float32), frames)
    periods = cepstrum.period_of_feature(features[:, cepstrum.PITCH])
    return SAMPLE_RATE // cepstrum.SAMPLE_RATE * periods, features[:, cepstrum.VOICING]


TRACKERS: dict[str, Tracker] = {
    "48 kHz, 20 ms": suppression,
    "48 kHz, 0 ms": lambda samples, frames: suppression(samples, frames, 0),
    "16 kHz": vocoders,
}


def measure(references: Sequence[Reference], snr_db: float, track: Tracker) -> dict[str, object]:
    """One row: errors over the clips at one SNR; infinity is clean speech."""
    gross_pyin, gross_own, voiced, unvoiced = [], [], [], []
    for each in references:
        clip = each.clip
        clean, noisy = mix(clip.clean, clip.noise, clip.sample_rate, min(snr_db, 100.0))
        periods, correlations = track(resample(noisy, clip.sample_rate, SAMPLE_RATE), each.frames)
        own, _ = track(resample(clean, clip.sample_rate, SAMPLE_RATE), each.frames)
        gross_pyin.append(_gross(periods, SAMPLE_RATE / each.hz, each.voiced))
        gross_own.append(_gross(periods, own, each.voiced))
        voiced.append(correlations[each.voiced])
        unvoiced.append(correlations[each.unvoiced])
    return {
        "gross_error": _json(mean_interval(gross_pyin)),
        "gross_error_to_own": _json(mean_interval(gross_own)),
        "voicing_error": round(equal_error_rate(np.concatenate(voiced), np.concatenate(unvoiced)), 4),
    }


def _gross(periods: np.ndarray, wanted: np.ndarray, voiced: np.ndarray) -> float:
    if not voiced.any():
        return float("nan")
    return float(np.mean(np.abs(wanted[voiced] / periods[voiced] - 1) > GROSS_ERROR))


def equal_error_rate(high: np.ndarray, low: np.ndarray) -> float:
    """The share of errors of either kind at the threshold where both are equal."""
    thresholds = np.unique(np.concatenate([high, low]))
    missed = np.searchsorted(np.sort(high), thresholds) / len(high)
    false = 1 - np.searchsorted(np.sort(low), thresholds) / len(low)
    return float(np.maximum(missed, false).min())


def _json(interval: Interval) -> dict[str, float]:
    return {"mean": round(interval.mean, 4), "low": round(interval.low, 4), "high": round(interval.high, 4)}


def rows(references: Sequence[Reference]) -> Iterator[dict[str, object]]:
    groups = {
        "noise": [each for each in references if each.clip.noise_kind != BABBLE],
        BABBLE: [each for each in references if each.clip.noise_kind == BABBLE],
    }
    for name, track in TRACKERS.items():
        for group, members in groups.items():
            for snr_db in (*SNRS_DB, float("inf")) if members else ():
                about = {"bench": "pitch", "tracker": name, "noise": group, "clips": len(members)}
                snr = None if snr_db == float("inf") else snr_db
                yield about | {"snr_db": snr} | measure(members, snr_db, track)


def table(records: Sequence[dict]) -> str:
    """In Markdown, one line for each tracker, noise and SNR."""
    lines = [
        "| tracker | noise | clips | SNR dB | gross error % | ± | to own clean pitch % | ± | voicing error % |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for record in records:
        snr = "clean" if record["snr_db"] is None else record["snr_db"]
        errors = [
            f"{100 * error['mean']:.1f} | {50 * (error['high'] - error['low']):.1f}"
            for error in (record["gross_error"], record["gross_error_to_own"])
        ]
        cells = [record["tracker"], record["noise"], record["clips"], snr, *errors]
        lines.append(f"| {' | '.join(map(str, cells))} | {100 * record['voicing_error']:.1f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the pitch trackers in noise; print JSON lines.")
    data = os.environ.get("VIVAVOCE_DATA")
    parser.add_argument("--data", type=Path, default=data, required=data is None, help="folder of the corpora")
    parser.add_argument("--wide-band", type=int, default=20, help="clips of this set")
    parser.add_argument("--full-band", type=int, default=5, help="clips of this set")
    parser.add_argument("--markdown", action="store_true", help="a table instead of JSON")
    arguments = parser.parse_args()
    counts = {"wide-band": arguments.wide_band, "full-band": arguments.full_band}
    clips = [
        clip
        for which, count in counts.items()
        if count
        for clip in build_noisy_set(arguments.data, which, "val", count)
    ]
    records = rows([reference_of(clip) for clip in clips])
    if arguments.markdown:
        print(table(list(records)))
    else:
        for record in records:
            print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
