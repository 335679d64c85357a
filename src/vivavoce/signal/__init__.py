"""Reference signal processing in NumPy: what two systems or more share, written as their papers have it."""

from __future__ import annotations

from vivavoce.signal.stft import hann_window, vorbis_window

__all__ = ["hann_window", "vorbis_window"]
