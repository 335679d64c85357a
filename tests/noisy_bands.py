"""Speech, noise, and the energies of their bands, for tests of losses that see nothing else."""

from pathlib import Path

import numpy as np
import soundfile
import torch

from vivavoce.enhancement.features import ERB_BANDS

DATA = Path(__file__).parent / "data"
SPEECH = soundfile.read(DATA / "speech-16k.flac", dtype="float32")[0][:80_000]
NOISE = soundfile.read(DATA / "noise-16k.flac", dtype="float32")[0]
FRAME, HOP = 320, 160
WINDOW = np.sin(np.pi * (np.arange(FRAME) + 0.5) / FRAME)
ALL_BANDS = torch.ones(1, 1, 34)


def noisy(snr_db):
    """The speech with the noise, shape (samples,)."""
    return SPEECH + NOISE * np.float32(np.sqrt(np.mean(SPEECH**2) / np.mean(NOISE**2)) * 10 ** (-snr_db / 20))


def energies(samples):
    """Band energies of samples at 16 kHz, whose bins lie 50 Hz apart as at 48 kHz: shape (1, frames, 34)."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP] * WINDOW
    spectra = np.pad(np.abs(np.fft.rfft(frames)) ** 2, ((0, 0), (0, 481 - FRAME // 2 - 1)))
    return torch.from_numpy((spectra @ ERB_BANDS.weights.T).astype(np.float32))[None]
