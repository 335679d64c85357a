"""Speech at 16 kHz to train vocoders, predictors and speech coders on: many talkers, levels and microphones.

An item is decided by the maker's seed and the item's index alone: any worker can make any item, and a resumed run goes
on with those that come next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import soxr

from vivavoce.training.corpus import SAMPLE_RATE as CORPUS_RATE
from vivavoce.training.corpus import SPEECH_CORPORA, Clip, load_corpus
from vivavoce.training.level import active_power, level_db
from vivavoce.training.run import Run
from vivavoce.training.sources import SPEECH_RATES, Talkers
from vivavoce.training.spectrum import draw_tilt, fast_length, tilt_response
from vivavoce.training.speed import draw_rate

SAMPLE_RATE = 16_000
PEAK = 0.98
_TILT_TAIL = 64  # samples until a tilt has died away


@dataclass(frozen=True)
class SpeechConfig:
    """What an item is.

    Attributes:
        seconds: Its length.
        corpus_weights: How often speech comes from each corpus, relative to the others; corpora not named count 0.1.
        min_speech_snr_db: Clips below it are left out.
        other_rate: Probability that speech is played faster or slower.
        tilted: Probability that it passes a random filter, as of other microphones.
        level_db: Active level in dBFS, from and to; the peak limits it.
    """

    seconds: float = 3.0
    corpus_weights: Mapping[str, float] = field(
        default_factory=lambda: {
            "kathleen-48k": 0.1,
            "librispeech-251-readers": 0.4,
            "librispeech-4-readers": 0.25,
            "speechocean762": 0.25,
        }
    )
    min_speech_snr_db: float = 25.0
    other_rate: float = 0.6
    tilted: float = 0.5
    level_db: tuple[float, float] = (-45.0, -12.0)


def speech_of(run: Run, split: str, seed: int) -> SpeechMaker:
    """Items of a training run, out of a split of all corpora of speech.

    Raises:
        AudioFileError, ValueError: The corpora are not what they should be.
    """
    clips = load_corpus(run.data, SPEECH_CORPORA, split, run.cache)
    return SpeechMaker(clips, SpeechConfig(seconds=run.seconds), seed)


class SpeechMaker:
    """Makes items from clips.

    Args:
        clips: Of one split.
        config: What an item is.
        seed: Another seed gives other items.

    Raises:
        ValueError: No clip is clean enough, or items would be empty.
    """

    def __init__(self, clips: Sequence[Clip], config: SpeechConfig | None = None, seed: int = 0) -> None:
        self.config = config or SpeechConfig()
        self.seed = seed
        self.samples = round(self.config.seconds * SAMPLE_RATE)
        if self.samples < 1:
            raise ValueError(f"seconds must be above 0, got {self.config.seconds}")
        self._talkers = Talkers(clips, self.config.corpus_weights, self.config.min_speech_snr_db)

    def speech(self, index: int) -> np.ndarray:
        """Item `index`, at least 0: shape (samples,), float32, 16 kHz."""
        if index < 0:
            raise ValueError(f"index must not be negative, got {index}")
        random, config = np.random.default_rng([self.seed, index]), self.config
        clips = self._talkers.draw(random)
        rate = draw_rate(random, *SPEECH_RATES) if random.random() < config.other_rate else 1.0
        speech = self._talkers.talk(random, clips, self.samples * (CORPUS_RATE // SAMPLE_RATE), rate)
        speech = soxr.resample(speech, CORPUS_RATE, SAMPLE_RATE)[: self.samples]
        if random.random() < config.tilted:
            size = fast_length(self.samples + _TILT_TAIL)
            spectrum = np.fft.rfft(speech, size) * tilt_response(draw_tilt(random), size)
            speech = np.fft.irfft(spectrum, size)[: self.samples].astype(np.float32)
        peak = float(np.abs(speech).max())
        if not peak:
            return speech
        now = level_db(active_power(speech))
        low, high = config.level_db
        high = min(high, now + 20 * np.log10(PEAK / peak))
        gain = 10 ** ((random.uniform(min(low, high), high) - now) / 20)
        return speech * np.float32(gain if random.random() < 0.5 else -gain)
