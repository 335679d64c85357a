"""Who talks and what makes noise: clips of one speaker or of one kind, joined to any length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vivavoce.training.corpus import SAMPLE_RATE, Clip
from vivavoce.training.level import active_power
from vivavoce.training.speed import draw_rate, play, samples_for
from vivavoce.training.synthetic import synthetic_noise

PAUSE_S = (0.1, 1.5)
VARIATION_DB = 3.0  # of a clip's level, both ways
OTHER_WEIGHT = 0.1  # of a corpus that has no weight of its own
BABBLE_TALKERS = (4, 20)  # fewer are competing talkers, and a denoiser cannot know which one is meant
BABBLE_VARIATION_DB = 6.0
# A noise that comes and goes: by so much both ways, in steps of about that long.
SWELL_PROBABILITY, SWELL_DB, SWELL_S = 0.3, 10.0, 1.0
# A corpus has few noises: played at other rates and backwards, they are more.
NOISE_RATES, BACKWARDS_PROBABILITY = (0.55, 1.8), 0.5
SPEECH_RATES = (0.8, 1.25)
_FADE = SAMPLE_RATE // 200  # 5 ms: where speech is cut or joined
_CROSSFADE = SAMPLE_RATE // 33  # 30 ms: where noise is
_SHORTEST = SAMPLE_RATE // 2  # of the speech in the clip that an item begins with


class Talkers:
    """Clips by speaker, to draw speech from.

    Args:
        clips: Of any corpora; a clip without a speaker has one of its own.
        weights: How often each corpus is drawn.
        min_snr_db: Clips below it are left out.

    Raises:
        ValueError: No clip is left.
    """

    def __init__(self, clips: Sequence[Clip], weights: Mapping[str, float], min_snr_db: float) -> None:
        corpora: dict[str, dict[str, list[Clip]]] = {}
        for clip in clips:
            if clip.snr_db >= min_snr_db:
                corpora.setdefault(clip.corpus, {}).setdefault(_speaker(clip), []).append(clip)
        self._speakers = [list(speakers.values()) for speakers in corpora.values()]
        shares = np.array([weights.get(corpus, OTHER_WEIGHT) for corpus in corpora])
        if not shares.sum() > 0:
            raise ValueError(f"none of {len(clips)} clips of speech has an SNR of {min_snr_db} dB and a weight above 0")
        self._shares = np.cumsum(shares / shares.sum())

    def draw(self, random: np.random.Generator) -> list[Clip]:
        """All clips of one speaker in one corpus: the corpus by its weight, every speaker of it alike."""
        corpus = int(np.searchsorted(self._shares, random.random(), side="right"))
        speakers = self._speakers[min(corpus, len(self._speakers) - 1)]
        return speakers[int(random.integers(len(speakers)))]

    @staticmethod
    def talk(random: np.random.Generator, clips: Sequence[Clip], samples: int, rate: float = 1.0) -> np.ndarray:
        """Speech of one speaker: random clips with pauses between them, the first from somewhere inside of it.

        Args:
            random: Decides everything.
            clips: Of the speaker.
            samples: How many.
            rate: Of playback.

        Returns:
            Shape (samples,), float32, at about the level of the recordings.
        """
        speech = np.zeros(samples, np.float32)
        at = 0
        while at < samples:
            clip = clips[int(random.integers(len(clips)))]
            start = 0 if at else int(random.integers(max(1, len(clip) - _SHORTEST)))
            piece = play(clip.read(start, samples_for(samples - at, rate)), rate, samples - at)
            piece = piece * _variation(random, VARIATION_DB)
            _fade(piece, _FADE)
            speech[at : at + len(piece)] = piece
            at += len(piece) + round(random.uniform(*PAUSE_S) * SAMPLE_RATE)
        return speech


class NoiseSources:
    """Noise to draw: recorded, babble, or made.

    Args:
        noise: Recordings; a clip without a category has one of its own.
        speech: Of the same split, for babble.
        babble: Probability of babble.
        synthetic: Probability of a noise that is made; certain where there is neither recording nor babble.
    """

    def __init__(self, noise: Sequence[Clip], speech: Sequence[Clip], babble: float, synthetic: float) -> None:
        categories: dict[str, list[Clip]] = {}
        for clip in noise:
            categories.setdefault(clip.category or f"{clip.corpus}/{clip.id}", []).append(clip)
        self._categories = list(categories.values())
        # A kind of which there is little would be learned by heart if it came as often as the others.
        lengths = np.array([sum(map(len, clips)) for clips in self._categories], float)
        self._shares = np.cumsum(np.sqrt(lengths) / max(np.sqrt(lengths).sum(), 1.0))
        speakers: dict[str, list[Clip]] = {}
        for clip in speech:
            speakers.setdefault(_speaker(clip), []).append(clip)
        self._speakers = speakers
        self._babble, self._synthetic = babble, synthetic

    def draw(self, random: np.random.Generator, samples: int, without: str = "") -> np.ndarray:
        """A noise.

        Args:
            random: Decides everything.
            samples: How many, even.
            without: A speaker who is not in the babble.

        Returns:
            Shape (samples,), float32; its active level is 0 dBFS.
        """
        sort = random.random()
        others = [name for name in self._speakers if name != without]
        if sort < self._babble and len(others) >= BABBLE_TALKERS[0]:
            noise = self._talkers_at_once(random, others, samples)
        elif sort < self._babble + self._synthetic or not self._categories:
            noise = synthetic_noise(random, samples)
        else:
            kind = min(int(np.searchsorted(self._shares, random.random())), len(self._categories) - 1)
            noise = _recorded(random, self._categories[kind], samples)
        if random.random() < SWELL_PROBABILITY:
            noise *= _swell(random, samples)
        return noise * np.float32(1 / np.sqrt(max(active_power(noise), 1e-12)))

    def _talkers_at_once(self, random: np.random.Generator, speakers: Sequence[str], samples: int) -> np.ndarray:
        least, most = BABBLE_TALKERS
        count = int(random.integers(least, min(most, len(speakers)) + 1))
        babble = np.zeros(samples, np.float32)
        for number in random.choice(len(speakers), count, replace=False):
            clips = self._speakers[speakers[int(number)]]
            level = np.float32(10 ** (-clips[0].level_db / 20)) * _variation(random, BABBLE_VARIATION_DB)
            babble += level * Talkers.talk(random, clips, samples)
        return babble


def _recorded(random: np.random.Generator, clips: Sequence[Clip], samples: int) -> np.ndarray:
    """Clips of one kind until the length is filled, each from its start or, where it is long, from anywhere."""
    noise = np.zeros(samples, np.float32)
    rate, step = draw_rate(random, *NOISE_RATES), -1 if random.random() < BACKWARDS_PROBABILITY else 1
    at = 0
    while at < samples:
        clip = clips[int(random.integers(len(clips)))]
        needed = samples_for(samples - at, rate)
        start = int(random.integers(max(1, len(clip) - needed + 1)))
        piece = play(clip.read(start, needed)[::step], rate, samples - at)
        piece = piece * np.float32(10 ** (-clip.level_db / 20)) * _variation(random, VARIATION_DB)
        if len(piece) < samples:
            _fade(piece, _CROSSFADE)
        noise[at : at + len(piece)] += piece
        at += max(len(piece) - _CROSSFADE, _CROSSFADE)
    return noise


def _fade(piece: np.ndarray, samples: int) -> None:
    """Fade both ends of a piece in place."""
    samples = min(samples, len(piece) // 2)
    if samples:
        ramp = (np.arange(samples, dtype=np.float32) + np.float32(0.5)) / np.float32(samples)
        piece[:samples] *= ramp
        piece[-samples:] *= ramp[::-1]


def _swell(random: np.random.Generator, samples: int) -> np.ndarray:
    """A gain that wanders, shape (samples,), float32."""
    steps = max(2, round(samples / SAMPLE_RATE / SWELL_S * random.uniform(0.5, 2.0)) + 1)
    knots = 10 ** (random.uniform(-SWELL_DB, SWELL_DB, steps) / 20)
    return np.interp(np.arange(samples), np.linspace(0, samples, steps), knots).astype(np.float32)


def _variation(random: np.random.Generator, range_db: float) -> np.float32:
    return np.float32(10 ** (random.uniform(-range_db, range_db) / 20))


def _speaker(clip: Clip) -> str:
    return clip.speaker or f"{clip.corpus}/{clip.id}"
