"""Sequences that vocoders learn from: features, their linear prediction, samples and excitation."""

from __future__ import annotations

import numpy as np

from vivavoce._core import lpc_of_cepstrum, speech_features
from vivavoce.signal.cepstrum import BARK_BANDS, HOP, LPC_ORDER, preemphasise
from vivavoce.training.speech import SpeechMaker
from vivavoce.vocoder.frames import CONTEXT, MEMORY, SUBFRAME, SUBFRAMES

PRIMED = 2  # frames, with which a sequence begins
HISTORY = -(-MEMORY // HOP)  # frames before them that a pitch prediction looks at
CHOICES = 2  # of that many places in an item, the louder is learned from: pauses say little


class ItemMaker:
    """Items of one split: features, and speech as excitation of its linear prediction."""

    def __init__(self, speech: SpeechMaker) -> None:
        self.speech = speech

    def __call__(self, index: int) -> dict[str, np.ndarray]:
        """Arrays of item `index`, float32.

        Features, shape (frames, 20); predictions, shape (frames, 4, 16); levels, shape (frames, 4); samples,
        pre-emphasised, and excitation, shape (160 * frames,). The last frame has no prediction.
        """
        samples = self.speech.speech(index)
        frames = len(samples) // HOP
        features = speech_features(samples, frames)
        predictions, levels = subframe_predictions(features)
        sharp = preemphasise(samples[: frames * HOP].astype(np.float64)).astype(np.float32)
        return {
            "features": features,
            "predictions": predictions,
            "levels": levels,
            "samples": sharp,
            "excitation": excitation_of(sharp, predictions),
        }


def subframe_predictions(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Linear prediction and level of the excitation of each sub-frame, from cepstra that go over from frame to frame.

    Args:
        features: Shape (frames, 20), float32.

    Returns:
        Shape (frames, 4, 16) and (frames, 4), float32; zeros in the last frame, of which the end is not known.
    """
    cepstra = features[:, :BARK_BANDS]
    steps = ((2 * np.arange(SUBFRAMES) + 1) / (2 * SUBFRAMES))[:, None].astype(np.float32)
    between = cepstra[:-1, None] + steps * (cepstra[1:, None] - cepstra[:-1, None])
    predictions, levels = lpc_of_cepstrum(np.ascontiguousarray(between.reshape(-1, BARK_BANDS)))
    return (
        np.pad(predictions.reshape(-1, SUBFRAMES, LPC_ORDER), ((0, 1), (0, 0), (0, 0))),
        np.pad(levels.reshape(-1, SUBFRAMES), ((0, 1), (0, 0))),
    )


def excitation_of(samples: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """What the predictions leave of pre-emphasised samples, silent before: shape (160 * frames,)."""
    blocks = samples.reshape(*predictions.shape[:2], SUBFRAME)
    padded = np.pad(samples, (LPC_ORDER, 0))
    excitation = blocks.copy()
    for k in range(LPC_ORDER):
        past = padded[LPC_ORDER - 1 - k : LPC_ORDER - 1 - k + len(samples)].reshape(blocks.shape)
        excitation -= predictions[..., k : k + 1] * past
    return excitation.reshape(-1)


def cut(items: dict[str, np.ndarray], frames: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    """A sequence out of each item.

    Args:
        items: Those of `ItemMaker`, stacked.
        frames: Of a sequence, without those that are known.
        random: Says which.

    Returns:
        What `vocoder.fargan.Heard` has, of PRIMED + frames frames, and the true samples.
    """
    features = items["features"]
    length = PRIMED + frames
    last = features.shape[1] - length - CONTEXT
    starts = random.integers(HISTORY, last + 1, (len(features), CHOICES))
    energies = features[..., 0].cumsum(axis=1)
    rows = np.arange(len(features))
    loudness = energies[rows[:, None], starts + length] - energies[rows[:, None], starts]
    chosen = starts[rows, loudness.argmax(axis=1)]

    def take(name: str, before: int, count: int, unit: int) -> np.ndarray:
        """`count` entries of each item, the first so many before the start of the sequence."""
        return np.stack(
            [row[at * unit - before : at * unit - before + count] for row, at in zip(items[name], chosen, strict=True)]
        )

    return {
        "features": take("features", CONTEXT, length + 2 * CONTEXT, 1),
        "predictions": take("predictions", 0, length, 1),
        "levels": take("levels", 0, length, 1),
        "past": take("excitation", MEMORY, MEMORY, HOP),
        "samples_before": take("samples", LPC_ORDER, LPC_ORDER, HOP)[:, ::-1].copy(),
        "excitation": take("excitation", 0, length * HOP, HOP),
        "samples": take("samples", 0, length * HOP, HOP),
    }
