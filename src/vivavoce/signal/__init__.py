"""Reference signal processing in NumPy: what two systems or more share, written as their papers have it."""

from __future__ import annotations

from vivavoce.signal.stft import analyse, hann_window, synthesise, vorbis_window

__all__ = ["analyse", "hann_window", "synthesise", "vorbis_window"]
