"""What fills a slot for which nothing was received.

The Opus decoder always conceals too, so that its state follows the gap; a `Concealer` decides what is heard instead.
`Silence` and `Repetition` are the two yardsticks that concealment is measured against.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

FADE_S = 0.005  # cross-fade at a join: shorter clicks, longer smears an onset
REPEATED_S = 0.020  # one packet: two pitch cycles of the lowest voice
HOLD_S = 0.020  # repeated at full level for one packet ...
DECAY_S = 0.080  # ... and gone after another four, before it drones


class Concealer(Protocol):
    """Anything that fills gaps. One instance belongs to one stream."""

    def receive(self, samples: np.ndarray) -> np.ndarray:
        """Take a slot that was decoded; return what is played for it (the join after a gap may be smoothed)."""
        ...

    def conceal(self, decoder_output: np.ndarray) -> np.ndarray:
        """Fill a slot.

        Args:
            decoder_output: Shape (samples,), float32: what the decoder's own concealment made of the same slot.

        Returns:
            Shape (samples,), float32 in [-1, 1].
        """
        ...

    def reset(self) -> None:
        """Forget the stream."""
        ...


class OpusConcealment:
    """The decoder's own concealment, as it is."""

    name = "opus"

    def receive(self, samples: np.ndarray) -> np.ndarray:
        return samples

    def conceal(self, decoder_output: np.ndarray) -> np.ndarray:
        return decoder_output

    def reset(self) -> None:
        pass


class Silence:
    """Zeros: the floor."""

    name = "silence"

    def receive(self, samples: np.ndarray) -> np.ndarray:
        return samples

    def conceal(self, decoder_output: np.ndarray) -> np.ndarray:
        return np.zeros_like(decoder_output)

    def reset(self) -> None:
        pass


class Repetition:
    """The last 20 ms again and again, cross-faded at each join and faded out within 100 ms.

    Args:
        sample_rate: Of the samples, in Hz.
    """

    name = "repeat"

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._fade = np.linspace(0, 1, round(FADE_S * sample_rate), endpoint=False, dtype=np.float32)
        self.reset()

    def reset(self) -> None:
        self._past = np.zeros(round(REPEATED_S * self._sample_rate) + len(self._fade), np.float32)
        self._concealed = 0  # samples since the gap began

    def receive(self, samples: np.ndarray) -> np.ndarray:
        if self._concealed:
            samples = samples.copy()
            fade = self._fade[: len(samples)]
            samples[: len(fade)] = fade * samples[: len(fade)] + (1 - fade) * self._continuation(len(fade))
            self._concealed = 0
        self._past = np.concatenate([self._past, samples])[-len(self._past) :]
        return samples

    def conceal(self, decoder_output: np.ndarray) -> np.ndarray:
        filled = self._continuation(len(decoder_output))
        self._concealed += len(filled)
        return filled

    def _continuation(self, count: int) -> np.ndarray:
        fade, past = self._fade, self._past
        cycle = past[len(fade) :].copy()
        # the end of a cycle turns into what preceded its beginning, so that the repetition joins without a step
        cycle[-len(fade) :] = (1 - fade) * cycle[-len(fade) :] + fade * past[: len(fade)]
        position = self._concealed + np.arange(count)
        gain = np.clip(1 - (position / self._sample_rate - HOLD_S) / DECAY_S, 0, 1).astype(np.float32)
        return cycle[position % len(cycle)] * gain


CONCEALERS = ("opus", "silence", "repeat")


def create_concealer(name: str, sample_rate: int) -> Concealer:
    """The concealer that `--conceal` names.

    Raises:
        ValueError: No such concealer.
    """
    if name == "opus":
        return OpusConcealment()
    if name == "silence":
        return Silence()
    if name == "repeat":
        return Repetition(sample_rate)
    raise ValueError(f"concealer must be one of {', '.join(CONCEALERS)}, got {name!r}")
