"""Whole features to samples with the core's vocoders."""

from __future__ import annotations

import numpy as np

from vivavoce._core import Model, VocoderNetwork
from vivavoce.signal.cepstrum import HOP


def synthesise(model: Model, features: np.ndarray) -> np.ndarray:
    """What a vocoder makes between the first features and the last.

    Args:
        model: A vocoder.
        features: Of `signal.cepstrum.speech_features`, shape (frames + 1, 20), float32; at least one frame.

    Returns:
        Shape (160 * frames,), float32 in [-1, 1], 16 kHz; sample 0 is where features 0 have their centre.

    Raises:
        TypeError, ValueError: The model is no vocoder, or `features` are not what they should be.
    """
    vocoder = VocoderNetwork(model)
    vocoder.feed(features[:1])
    behind = np.repeat(features[-1:], vocoder.delay, axis=0)  # that what is late comes out
    return vocoder.synthesise(np.concatenate([features[1:], behind]))[vocoder.delay * HOP :]
