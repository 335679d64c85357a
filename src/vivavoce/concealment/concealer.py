"""What fills a slot for which nothing was received.

The decoder's state has to go through the gap as well, for packets say what changes against what it holds: a `Concealer`
sees to both. `Silence` and `Repetition` are the two yardsticks that concealment is measured against.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from vivavoce.codec.opus import OpusDecoder

FADE_S = 0.005  # cross-fade at a join: shorter clicks, longer smears an onset
CYCLE_S = (0.005, 0.020)  # shorter repetitions buzz; 20 ms holds a cycle of the lowest voice
HOLD_S = 0.020  # repeated at full level for one packet ...
DECAY_S = 0.080  # ... and gone after another four, before it drones


class Concealer(Protocol):
    """Anything that fills gaps. One instance belongs to one stream.

    Attributes:
        smooths_joins: How a gap turns into what was decoded is this concealer's own business, in `receive`; otherwise
            the receiver fades over, from the decoder's concealment.
        foresees: Whether `foresee` is worth calling.
        listens: Whether `tell` is.
        remark: Why the gap that lasts is filled otherwise than usual; else empty. It joins the reason of a slot.
    """

    smooths_joins: bool
    foresees: bool
    listens: bool
    remark: str

    def receive(self, samples: np.ndarray) -> np.ndarray:
        """Take a slot that was decoded; return what is played for it (the join after a gap may be smoothed)."""
        ...

    def foresee(self, samples: np.ndarray, gap: int) -> None:
        """Hear what follows the gap that is next, or that lasts: packets behind it are here already.

        Args:
            samples: Shape (samples,), float32, as the decoder's state of before the gap makes them.
            gap: Samples from the beginning of the gap to the first of them.
        """
        ...

    def tell(self, features: np.ndarray, gap: int) -> None:
        """Learn features of the gap that is next, or that lasts: redundancy described them.

        Args:
            features: As of `signal.cepstrum`, shape (frames, 20), float32.
            gap: Samples from the beginning of the gap to the centre of the first frame; negative before it.
        """
        ...

    def conceal(self, decoder: OpusDecoder, count: int) -> np.ndarray:
        """Fill a slot, and let the decoder go through it.

        Args:
            decoder: Of the stream, one channel.
            count: Length of the slot, a multiple of 2.5 ms.

        Returns:
            Shape (samples,), float32 in [-1, 1].
        """
        ...

    def reset(self) -> None:
        """Forget the stream."""
        ...


class OpusConcealment:
    """The decoder's own concealment, as it is."""

    smooths_joins = False
    foresees = False
    listens = False
    remark = ""

    def receive(self, samples: np.ndarray) -> np.ndarray:
        return samples

    def foresee(self, samples: np.ndarray, gap: int) -> None:
        pass

    def tell(self, features: np.ndarray, gap: int) -> None:
        pass

    def conceal(self, decoder: OpusDecoder, count: int) -> np.ndarray:
        return decoder.conceal(count)

    def reset(self) -> None:
        pass


class Silence:
    """Zeros: the floor."""

    smooths_joins = True
    foresees = False
    listens = False
    remark = ""

    def receive(self, samples: np.ndarray) -> np.ndarray:
        return samples

    def foresee(self, samples: np.ndarray, gap: int) -> None:
        pass

    def tell(self, features: np.ndarray, gap: int) -> None:
        pass

    def conceal(self, decoder: OpusDecoder, count: int) -> np.ndarray:
        return np.zeros_like(decoder.conceal(count))

    def reset(self) -> None:
        pass


class Repetition:
    """The last cycle again and again, cross-faded at each join and faded out within 100 ms.

    The cycle is as long as the lag, between 5 and 20 ms, at which the end of what was played resembles itself most: the
    idea of ITU-T G.711 appendix I.

    Args:
        sample_rate: Of the samples, in Hz.
    """

    smooths_joins = True
    foresees = False
    listens = False
    remark = ""

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._fade = np.linspace(0, 1, round(FADE_S * sample_rate), endpoint=False, dtype=np.float32)
        self._shortest, self._longest = (round(seconds * sample_rate) for seconds in CYCLE_S)
        self.reset()

    def reset(self) -> None:
        self._past = np.zeros(2 * self._longest, np.float32)
        self._cycle: np.ndarray | None = None  # while a gap lasts
        self._concealed = 0  # samples since it began

    def receive(self, samples: np.ndarray) -> np.ndarray:
        if self._cycle is not None:
            samples = samples.copy()
            fade = self._fade[: len(samples)]
            samples[: len(fade)] = fade * samples[: len(fade)] + (1 - fade) * self._continuation(len(fade))
            self._cycle, self._concealed = None, 0
        self._past = np.concatenate([self._past, samples])[-len(self._past) :]
        return samples

    def foresee(self, samples: np.ndarray, gap: int) -> None:
        pass

    def tell(self, features: np.ndarray, gap: int) -> None:
        pass

    def conceal(self, decoder: OpusDecoder, count: int) -> np.ndarray:
        decoder.conceal(count)
        if self._cycle is None:
            self._cycle = self._find_cycle()
        filled = self._continuation(count)
        self._concealed += len(filled)
        return filled

    def _find_cycle(self) -> np.ndarray:
        past, template = self._past.astype(np.float64), self._past[-self._shortest :].astype(np.float64)
        best, best_match = self._longest, 0.0
        for lag in range(self._shortest, self._longest + 1):
            earlier = past[len(past) - lag - len(template) : len(past) - lag]
            energy = float(np.dot(earlier, earlier))
            match = float(np.dot(earlier, template)) / np.sqrt(energy) if energy > 0 else 0.0
            if match > best_match:
                best, best_match = lag, match
        cycle = self._past[-best:].copy()
        # the end of the cycle turns into what preceded its beginning, so that each repetition joins without a step
        fade = self._fade[: best // 2]
        before = self._past[len(past) - best - len(fade) : len(past) - best]
        cycle[-len(fade) :] = (1 - fade) * cycle[-len(fade) :] + fade * before
        return cycle

    def _continuation(self, count: int) -> np.ndarray:
        cycle = self._past[-1:] if self._cycle is None else self._cycle
        position = self._concealed + np.arange(count)
        gain = np.clip(1 - (position / self._sample_rate - HOLD_S) / DECAY_S, 0, 1).astype(np.float32)
        return cycle[position % len(cycle)] * gain


VOCODERS = ("fargan", "lpcnet")  # of neural concealment; the first unless told
CONCEALERS = ("opus", "neural", *(f"neural:{vocoder}" for vocoder in VOCODERS[1:]), "silence", "repeat")


def with_vocoder(name: str, vocoder: str | None) -> str:
    """The concealer `name`, going on with that vocoder: as `create_concealer` and reports name it.

    Raises:
        ValueError: There is no such vocoder, or the concealer has none.
    """
    if vocoder is None:
        return name
    if vocoder not in VOCODERS:
        raise ValueError(f"vocoder must be one of {', '.join(VOCODERS)}, got {vocoder!r}")
    if name != "neural":
        raise ValueError(f"a vocoder belongs to neural concealment, not to {name!r}")
    return name if vocoder == VOCODERS[0] else f"{name}:{vocoder}"


def create_concealer(name: str, sample_rate: int) -> Concealer:
    """The concealer that `--conceal` names.

    Raises:
        ValueError: No such concealer.
    """
    if name not in CONCEALERS:
        raise ValueError(f"concealer must be one of {', '.join(CONCEALERS)}, got {name!r}")
    if name == "opus":
        return OpusConcealment()
    if name == "silence":
        return Silence()
    if name == "repeat":
        return Repetition(sample_rate)
    from vivavoce.concealment.neural import NeuralConcealment

    _, _, vocoder = name.partition(":")
    return NeuralConcealment(sample_rate, vocoder=f"{vocoder or VOCODERS[0]}-base-v1")
