"""Noisy speech and the target for it, mixed on the fly.

What PercepNet was trained on (arXiv 2008.04259): speech in rooms with noise in rooms, from -5 to 45 dB, at levels over
40 dB, through random spectral tilts and low-pass filters, so that one model covers narrow band to full band. Added are
babble, items that are clean, without speech or muted in part, and stretches of noise alone before speech at low SNR,
which have helped others since (arXiv 2512.16420).

An item is decided by the mixer's seed and the item's index alone: any worker can make any item, and a resumed run goes
on with those that come next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from vivavoce.training.corpus import SAMPLE_RATE, Clip
from vivavoce.training.level import active_power, level_db
from vivavoce.training.rooms import Room
from vivavoce.training.sources import SPEECH_RATES, NoiseSources, Talkers
from vivavoce.training.spectrum import draw_colour, draw_tilt, fast_length, low_pass_response, tilt_response
from vivavoce.training.speed import draw_rate

PEAK = 0.98  # no item is louder, so that nothing clips but what is meant to
COLOUR_RANGE_DB = 12.0  # of a noise, both ways
SPEECH_COLOUR_RANGE_DB = 8.0
_FILTER_TAIL = 4096  # samples: what a tilt or a low-pass leaves behind

Kind = Literal["mixed", "noise first", "clean", "noise only"]


@dataclass(frozen=True)
class MixConfig:
    """What is mixed, and how often.

    Attributes:
        seconds: Length of an item.
        corpus_weights: How often speech comes from each corpus, relative to the others; corpora not named count 0.1.
        min_speech_snr_db: Clips below it are no targets, for the noise in them would be learned as speech.
        clean: Probability of speech without noise.
        noise_only: Probability of noise without speech.
        noise_first: Probability that noise alone comes first.
        noise_first_s: For how long, from and to.
        noise_first_snr_db: At which SNR, from and to.
        core_snr_db: SNR of most other items, from and to.
        high_snr_db: SNR of the rest, from and to.
        core_share: Share of the first.
        babble: Probability that a noise is of many talkers.
        synthetic: Probability that it is made.
        two_noises: Probability of a second noise.
        other_rate: Probability that speech is played faster or slower.
        coloured_speech: Probability that the speech passes a smooth random response, as of other microphones.
        coloured: Probability that the noise does.
        floor: Probability that faint white noise fills all bands, as converters and dither do.
        floor_db: Its level in dBFS, from and to.
        room: Probability that the talker is in a room.
        noise_room: Probability that the noise is in the room too.
        low_pass: Probability that everything is low-passed.
        cutoffs_hz: Where.
        narrow_noise: Probability that the noise ends where the recording of the speech does.
        level_db: Active level of the target in dBFS, from and to; the peak limits it.
        clipped: Probability that the noisy side is clipped.
        clip_at: Where, of its peak, from and to.
        muted: Probability that a part of the item is digital silence.
        muted_s: For how long, from and to.
    """

    seconds: float = 4.0
    corpus_weights: Mapping[str, float] = field(
        default_factory=lambda: {
            "kathleen-48k": 0.2,
            "librispeech-251-readers": 0.35,
            "librispeech-4-readers": 0.2,
            "speechocean762": 0.25,
        }
    )
    min_speech_snr_db: float = 25.0
    clean: float = 0.05
    noise_only: float = 0.04
    noise_first: float = 0.15
    noise_first_s: tuple[float, float] = (1.0, 3.0)
    noise_first_snr_db: tuple[float, float] = (-5.0, 5.0)
    core_snr_db: tuple[float, float] = (-5.0, 25.0)
    high_snr_db: tuple[float, float] = (25.0, 45.0)
    core_share: float = 0.85
    babble: float = 0.12
    synthetic: float = 0.13
    two_noises: float = 0.4
    other_rate: float = 0.85
    coloured_speech: float = 0.7
    coloured: float = 0.7
    floor: float = 0.4
    floor_db: tuple[float, float] = (-130.0, -90.0)
    room: float = 0.25
    noise_room: float = 0.5
    low_pass: float = 0.4
    cutoffs_hz: tuple[int, ...] = (4_000, 8_000, 12_000, 16_000, 20_000)
    narrow_noise: float = 0.5
    level_db: tuple[float, float] = (-45.0, -5.0)
    clipped: float = 0.03
    clip_at: tuple[float, float] = (0.3, 0.8)
    muted: float = 0.02
    muted_s: tuple[float, float] = (0.2, 1.5)


@dataclass(frozen=True, eq=False)
class Parts:
    """An item before it is summed: all at 48 kHz, shape (samples,), float32, at their final levels.

    Attributes:
        speech: As it reaches the microphone.
        clean: The target for it: with early reflections alone.
        noise: As it reaches the microphone.
        bandwidth_hz: The speech says nothing about what is above it.
        kind: What the item is.
        snr_db: Active level of `speech` over that of `noise`; infinite without noise, minus infinite without speech.
        level_db: Active level of `clean` in dBFS, of `noise` where there is no speech.
        clip_at: Where the sum is clipped; infinite where it is not.
        muted: Samples that are digital silence; empty where none are.
    """

    speech: np.ndarray
    clean: np.ndarray
    noise: np.ndarray
    bandwidth_hz: int
    kind: Kind
    snr_db: float
    level_db: float
    clip_at: float
    muted: slice


@dataclass(frozen=True, eq=False)
class Mixture:
    """An item to train on: both sides at 48 kHz, shape (samples,), float32, within 0.98 of full scale.

    Attributes:
        noisy: What the network hears.
        clean: What it is to give, aligned with it; zeros where there is no speech.
        bandwidth_hz: `clean` says nothing about what is above it: mask the loss there.
        kind: What the item is.
        snr_db: Active level of speech over that of noise; infinite without noise, minus infinite without speech.
        level_db: Active level of `clean` in dBFS, of the noise where there is no speech.
    """

    noisy: np.ndarray
    clean: np.ndarray
    bandwidth_hz: int
    kind: Kind
    snr_db: float
    level_db: float


class Mixer:
    """Makes items from clips and rooms.

    Args:
        speech: Of one split.
        noise: Of the same split; may be empty: then it is babble or made.
        rooms: May be empty: then there is no reverberation.
        config: What is mixed, and how often.
        seed: Another seed gives other items.

    Raises:
        ValueError: No clip of speech is clean enough to be a target, or items would be empty.
    """

    def __init__(
        self,
        speech: Sequence[Clip],
        noise: Sequence[Clip],
        rooms: Sequence[Room] = (),
        config: MixConfig | None = None,
        seed: int = 0,
    ) -> None:
        self.config = config or MixConfig()
        self.seed = seed
        self.samples = round(self.config.seconds * SAMPLE_RATE)
        if self.samples < 1:
            raise ValueError(f"seconds must be above 0, got {self.config.seconds}")
        self._rooms = list(rooms)
        self._talkers = Talkers(speech, self.config.corpus_weights, self.config.min_speech_snr_db)
        self._noises = NoiseSources(noise, speech, self.config.babble, self.config.synthetic)

    def mixture(self, index: int) -> Mixture:
        """Item number `index`, at least 0."""
        parts = self.parts(index)
        noisy, clean = parts.speech + parts.noise, parts.clean
        if np.isfinite(parts.clip_at):
            noisy = np.clip(noisy, -parts.clip_at, parts.clip_at)
        random = np.random.default_rng([self.seed, index, 1])
        if _chance(random, self.config.floor):
            floor = np.float32(10 ** (random.uniform(*self.config.floor_db) / 20))
            noisy += floor * random.standard_normal(self.samples, np.float32)
        noisy[parts.muted] = 0
        clean[parts.muted] = 0
        return Mixture(noisy, clean, parts.bandwidth_hz, parts.kind, parts.snr_db, parts.level_db)

    def parts(self, index: int) -> Parts:
        """Item number `index` in its parts."""
        if index < 0:
            raise ValueError(f"index must not be negative, got {index}")
        random, config = np.random.default_rng([self.seed, index]), self.config
        kind = self._kind(random)
        room = self._rooms[random.integers(len(self._rooms))] if self._rooms and _chance(random, config.room) else None
        cutoff_hz = int(random.choice(config.cutoffs_hz)) if _chance(random, config.low_pass) else SAMPLE_RATE // 2

        silence = np.zeros(self.samples, np.float32)
        speech = clean = noise = silence
        bandwidth_hz, speaker = cutoff_hz, ""
        if kind != "noise only":
            clips = self._talkers.draw(random)
            rate = draw_rate(random, *SPEECH_RATES) if _chance(random, config.other_rate) else 1.0
            dry = self._dry(random, kind, clips, rate)
            recorded_hz = min(int(rate * clip.bandwidth_hz) for clip in clips)
            bandwidth_hz, speaker = min(cutoff_hz, recorded_hz), clips[0].speaker
            speech, clean = self._in_room(random, dry, room, cutoff_hz)
        if kind != "clean":
            narrow = _chance(random, config.narrow_noise)
            noise = self._noise(random, room, bandwidth_hz if narrow else cutoff_hz, speaker)
        snr_db = self._snr_db(random, kind)
        noise = _at_snr(speech, noise, snr_db)
        gain, level = self._gain(random, speech + noise, clean if kind != "noise only" else noise)
        speech, clean, noise = (part * np.float32(gain) for part in (speech, clean, noise))
        clip_at, muted = self._damage(random, speech + noise)
        return Parts(speech, clean, noise, bandwidth_hz, kind, snr_db, level, clip_at, muted)

    def _kind(self, random: np.random.Generator) -> Kind:
        probabilities: dict[Kind, float] = {
            "clean": self.config.clean,
            "noise only": self.config.noise_only,
            "noise first": self.config.noise_first,
        }
        at = random.random()
        for kind, probability in probabilities.items():
            if at < probability:
                return kind
            at -= probability
        return "mixed"

    def _dry(self, random: np.random.Generator, kind: Kind, clips: Sequence[Clip], rate: float) -> np.ndarray:
        """Speech as recorded, after silence where noise comes first; shape (samples,)."""
        lead = round(random.uniform(*self.config.noise_first_s) * SAMPLE_RATE) if kind == "noise first" else 0
        lead = min(lead, self.samples // 2)  # a short item still has speech
        return np.pad(self._talkers.talk(random, clips, self.samples - lead, rate), (lead, 0))

    def _in_room(
        self, random: np.random.Generator, dry: np.ndarray, room: Room | None, cutoff_hz: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """What reaches the microphone and the target, with the same tilt, colour and low-pass."""
        size = fast_length(self.samples + (len(room.speech) if room else 0) + _FILTER_TAIL)
        spectrum = _spectrum(dry, size) * tilt_response(draw_tilt(random), size)
        if _chance(random, self.config.coloured_speech):
            spectrum *= draw_colour(random, size, SPEECH_COLOUR_RANGE_DB)
        if cutoff_hz < SAMPLE_RATE // 2:
            spectrum *= low_pass_response(cutoff_hz, size)
        if room is None:
            speech = _samples(spectrum, size)[: self.samples]
            return speech, speech.copy()
        speech, clean = (
            _samples(spectrum * _spectrum(response, size), size)[: self.samples]
            for response in (room.speech, room.early)
        )
        return speech, clean

    def _noise(self, random: np.random.Generator, room: Room | None, cutoff_hz: int, speaker: str) -> np.ndarray:
        """Noise at the microphone, shape (samples,), of any level.

        It is filtered as if it repeated for ever, so that the room already rings when the item begins.
        """
        size = fast_length(self.samples)
        noise = self._noises.draw(random, size, speaker)
        if _chance(random, self.config.two_noises):
            noise += self._noises.draw(random, size, speaker) * np.float32(10 ** (random.uniform(-10, 0) / 20))
        spectrum = _spectrum(noise, size) * tilt_response(draw_tilt(random), size)
        if _chance(random, self.config.coloured):
            spectrum *= draw_colour(random, size, COLOUR_RANGE_DB)
        if cutoff_hz < SAMPLE_RATE // 2:
            spectrum *= low_pass_response(cutoff_hz, size)
        if room and _chance(random, self.config.noise_room):
            spectrum *= _spectrum(room.noises[random.integers(len(room.noises))], size)
        return _samples(spectrum, size)[: self.samples]

    def _snr_db(self, random: np.random.Generator, kind: Kind) -> float:
        if kind == "clean":
            return float("inf")
        if kind == "noise only":
            return float("-inf")
        if kind == "noise first":
            return random.uniform(*self.config.noise_first_snr_db)
        core = _chance(random, self.config.core_share)
        return random.uniform(*(self.config.core_snr_db if core else self.config.high_snr_db))

    def _gain(self, random: np.random.Generator, noisy: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
        """Gain of the item, and the level in dBFS that its reference has with it.

        The level is even over its range as far as the peak allows: nothing piles up at full scale.
        """
        peak = max(float(np.abs(noisy).max()), float(np.abs(reference).max()))
        if not peak:
            return 1.0, level_db(0)
        now = level_db(active_power(reference))
        low, high = self.config.level_db
        high = min(high, now + 20 * np.log10(PEAK / peak))
        level = float(random.uniform(min(low, high), high))
        return 10 ** ((level - now) / 20), level

    def _damage(self, random: np.random.Generator, noisy: np.ndarray) -> tuple[float, slice]:
        """Where the sum is clipped, and which samples are muted."""
        clip_at, muted = float("inf"), slice(0, 0)
        if _chance(random, self.config.clipped):
            clip_at = float(np.abs(noisy).max()) * random.uniform(*self.config.clip_at)
        if _chance(random, self.config.muted):
            count = min(self.samples, round(random.uniform(*self.config.muted_s) * SAMPLE_RATE))
            start = int(random.integers(self.samples - count + 1))
            muted = slice(start, start + count)
        return clip_at, muted


def _at_snr(speech: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """The noise scaled to the SNR; as it is where one of both is silent."""
    powers = active_power(speech), active_power(noise)
    if not (np.isfinite(snr_db) and all(powers)):
        return noise
    return noise * np.float32(np.sqrt(powers[0] / powers[1]) * 10 ** (-snr_db / 20))


def _spectrum(samples: np.ndarray, size: int) -> np.ndarray:
    from scipy import fft  # three times faster than NumPy's in float32; here, so that decoding starts without it

    return np.asarray(fft.rfft(samples, size))


def _samples(spectrum: np.ndarray, size: int) -> np.ndarray:
    return np.fft.irfft(spectrum, size).astype(np.float32, copy=False)


def _chance(random: np.random.Generator, probability: float) -> bool:
    return bool(random.random() < probability)
